"""All settings, read from the environment here and nowhere else. Units and defaults stand on each line."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from environs import Env, EnvError, validate

from shop import content_security, contexts, exposure, logs, server_urls
from shop.api import schema
from shop.local.servers import addresses, keys
from shop.throttling import Rate
from shop.values import MAX_CREDIT

env = Env()


@env.parser_for("rate")
def _rate(text: str) -> Rate | None:
    try:
        return Rate.parse(text)
    except ValueError as error:
        raise EnvError(str(error)) from None


BASE_DIR = Path(__file__).resolve().parent.parent
INSTANCE = env.str("SHOP_INSTANCE", "dev")  # name of this set of servers and files: var/<instance>/

# --- Contexts and their databases -----------------------------------------------------------------

CONTEXTS = contexts.databases()  # context (app label) -> database alias; contexts are added in shop/contexts.py

# One URL for all contexts (a database each, <name>_<context>), or one for each; embedded servers without.
DATABASE_URL = env.str("DATABASE_URL", "")
CONNECTION_OPTIONS = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,  # seconds without traffic before the first probe
    "keepalives_interval": 5,  # seconds between probes
    "keepalives_count": 3,  # probes unanswered before the connection counts as lost
    "tcp_user_timeout": 25_000,  # milliseconds that sent data may stay unacknowledged: a network that swallows all
    # Web requests and workers have time limits beside these: shop/time_limits.py.
    # A frozen process may hold a lane, or a hot row, this long and no longer. Compiling a short query costs
    # a second where the server has LLVM: estimates over many partitions are large, the rows few.
    "options": "-c idle_in_transaction_session_timeout=30s -c lock_timeout=20s -c jit=off"
    " -c statement_timeout=0",  # migrations, commands and the audit take the time they need
}


def _setting_of(context: str) -> str:
    """Return the name of the setting that says where a context's database is; "" for the embedded server."""
    own = f"{context.upper()}_DATABASE_URL"
    return own if env.str(own, "") else "DATABASE_URL" if DATABASE_URL else ""


def _database(context: str) -> dict[str, Any]:
    setting = _setting_of(context)
    default = addresses.database_url(context, INSTANCE)
    if DATABASE_URL:
        server = urlsplit(server_urls.database_url("DATABASE_URL", DATABASE_URL))
        default = server._replace(path=f"{server.path}_{context}").geturl()
    if setting.startswith(context.upper()):
        server_urls.database_url(setting, env.str(setting, ""))
    database: dict[str, Any] = env.dj_db_url(f"{context.upper()}_DATABASE_URL", default, conn_max_age=None)
    database["CONN_HEALTH_CHECKS"] = True  # once a request, before its first query
    database["OPTIONS"] = CONNECTION_OPTIONS | database.get("OPTIONS", {})
    return database


WEB_LOCK_TIMEOUT = env.float("WEB_LOCK_TIMEOUT", 2)  # seconds that a web request waits for a lock, then 503
WEB_STATEMENT_TIMEOUT = env.float("WEB_STATEMENT_TIMEOUT", 5)  # seconds that one of its statements takes, then 503
WORKER_STATEMENT_TIMEOUT = env.float("WORKER_STATEMENT_TIMEOUT", 60)  # seconds; below Celery's limit of a task, 300

# --- The web process (shop/asgi.py), each of several ----------------------------------------------

WEB_THREADS = env.int("WEB_THREADS", 8)  # requests answered at once, each with a connection per database that it needs
WEB_QUEUE = env.int("WEB_QUEUE", 1000)  # whole requests that wait for a thread, then 503
WEB_QUEUE_TIME = env.float("WEB_QUEUE_TIME", 10)  # seconds that one waits for a thread, then 503
BODY_LIMIT = env.int("BODY_LIMIT", 1_000_000)  # bytes of a request's body, then 413
BODIES_LIMIT = env.int("BODIES_LIMIT", 64_000_000)  # bytes of all bodies that are held at once, then 503
BODY_TIME = env.float("BODY_TIME", 10)  # seconds that a body may take to arrive, then 408

DATABASES = {alias: _database(context) for context, alias in CONTEXTS.items()}
DATABASE_SETTINGS = {alias: _setting_of(context) for context, alias in CONTEXTS.items()}  # by alias: where from
DATABASE_ROUTERS = ["shop.databases.ContextRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.str("BROKER_URL", "") or addresses.broker_url(INSTANCE)  # Redis, Valkey or RabbitMQ
BROKER_IS_EMBEDDED = server_urls.broker_url("BROKER_URL", BROKER_URL) == addresses.broker_url(INSTANCE)
QUEUE_PREFIX = env.str("QUEUE_PREFIX", "")  # of every name on the broker, so that deployments can share one

# Redis or Valkey, for what is counted across processes; without, the broker's server where that is one.
CACHE_URL = addresses.cache_url(env.str("CACHE_URL", "") or BROKER_URL, INSTANCE)
if env.str("CACHE_URL", "") and not CACHE_URL:
    raise ImproperlyConfigured("CACHE_URL is no URL of a Redis or Valkey: redis://, rediss:// or unix://.")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "shop.cache.SharedCache",
        "LOCATION": [CACHE_URL],
        "KEY_PREFIX": f"{QUEUE_PREFIX}shop",  # deployments that share a broker may share a cache
    }
    if CACHE_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}  # each process counts for itself
}

WORKER_REMOTE_CONTROL = env.bool("WORKER_REMOTE_CONTROL", False)  # let who can write to the broker steer its workers


def _embedded_key() -> str:
    try:
        return keys.message_key(INSTANCE)
    except OSError as error:
        raise ImproperlyConfigured(f"{error}. Work in a checkout of your own, or set BROKER_URL.") from None


# --- Messaging ------------------------------------------------------------------------------------

OUTBOX_LANES = env.int("OUTBOX_LANES", 4)  # lanes of an outbox that is yet to be created
SCAN_INTERVAL = env.float("SCAN_INTERVAL", 0.5)  # seconds between two scans of an outbox
RELAY_EVENTS = env.int("RELAY_EVENTS", 1000)  # events in a batch, at most
RELAY_BYTES = env.int("RELAY_BYTES", 1_000_000)  # bytes of event data in a batch, at most; at least one event
RELAY_RESEND_AFTER = timedelta(seconds=env.float("RELAY_RESEND_AFTER", 5))  # without acknowledgement; then doubled
RELAY_RESEND_LIMIT = timedelta(seconds=env.float("RELAY_RESEND_LIMIT", 60))  # between two resends, at most
RELAY_IDLE = timedelta(seconds=env.float("RELAY_IDLE", 10))  # between two empty batches of an idle subscription
MESSAGE_KEYS: list[str] = env.list("MESSAGE_KEYS", [], subcast=str.strip)  # the first signs messages, all verify
MESSAGE_SIGNATURES = env.str("MESSAGE_SIGNATURES", "verify", validate=validate.OneOf(("verify", "require")))
if BROKER_IS_EMBEDDED:
    MESSAGE_KEYS, MESSAGE_SIGNATURES = MESSAGE_KEYS or [_embedded_key()], "require"
if any(len(key) < 32 for key in MESSAGE_KEYS):
    raise ImproperlyConfigured("MESSAGE_KEYS: each key needs 32 characters or more: openssl rand -hex 32")
if MESSAGE_SIGNATURES == "require" and not MESSAGE_KEYS:
    raise ImproperlyConfigured("MESSAGE_SIGNATURES=require needs MESSAGE_KEYS.")

# --- The shop -------------------------------------------------------------------------------------

CURRENCY = env.str("CURRENCY", "CNY")  # ISO 4217, of every price; amounts are in its minor unit
ORDER_PARTICIPANTS: list[str] = env.list(
    "ORDER_PARTICIPANTS", ["inventory", "members"], subcast=str.strip
)  # they decide
if "inventory" not in ORDER_PARTICIPANTS or set(ORDER_PARTICIPANTS) - {"inventory", "members"}:
    raise ImproperlyConfigured("ORDER_PARTICIPANTS: inventory, or inventory,members for credit too.")
ORDER_TIME_LIMIT = timedelta(seconds=env.float("ORDER_TIME_LIMIT", 900))  # an order still open after it is cancelled
ORDER_SWEEP_INTERVAL = env.float("ORDER_SWEEP_INTERVAL", 5)  # seconds between two looks for such orders
NEW_MEMBER_CREDIT = env.int("NEW_MEMBER_CREDIT", 10_000_000, validate=validate.Range(0, MAX_CREDIT))  # minor units
IDEMPOTENCY_KEY_LIFE = timedelta(days=env.float("IDEMPOTENCY_KEY_LIFE", 30))  # then a key may be used anew

# --- Limits: 30/m, 10/15m (s, m, h, d) or off. Windows begin with the first act; see shop/throttling.py ----

SIGN_IN_FAILURES = env.rate("SIGN_IN_FAILURES", "10/15m")  # of a user name from one address
SIGN_IN_FAILURES_PER_NAME = env.rate("SIGN_IN_FAILURES_PER_NAME", "50/h")  # from all addresses together
SIGN_IN_FAILURES_PER_ADDRESS = env.rate("SIGN_IN_FAILURES_PER_ADDRESS", "100/15m")  # of all user names
WRONG_TOKENS_PER_ADDRESS = env.rate("WRONG_TOKENS_PER_ADDRESS", "30/m")  # logged, then 429 instead of 401
ORDERS_PER_MEMBER = env.rate("ORDERS_PER_MEMBER", "300/m")  # POSTs of a user
ORDERS_PER_ADDRESS = env.rate("ORDERS_PER_ADDRESS", "6000/m")  # many members may share an address
SEARCHES_PER_MEMBER = env.rate("SEARCHES_PER_MEMBER", "1200/m")  # GETs of lists by a user
SEARCHES_PER_ADDRESS = env.rate("SEARCHES_PER_ADDRESS", "12000/m")  # of all users and of strangers

# --- Django ---------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "only-for-a-stack-on-one-machine-set-your-own-in-production")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
if not all(map(exposure.is_loopback, ALLOWED_HOSTS)) and (fault := exposure.fault_of(SECRET_KEY)):
    raise ImproperlyConfigured(f"ALLOWED_HOSTS goes beyond this machine, but {fault}")
# Never SECURE_PROXY_SSL_HEADER, which believes everybody: shop/proxy.py believes these peers alone.
TRUSTED_PROXY: list[str] = env.list("TRUSTED_PROXY", [])  # addresses, networks, `unix`: whose X-Forwarded-… counts
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", False)  # True where all is behind HTTPS
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 0)  # seconds that browsers are to insist on HTTPS; 0: not at all
SESSION_COOKIE_AGE = env.int("SESSION_COOKIE_AGE", 43_200)  # seconds that a sign-in to the admin lasts
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for the whole domain, and in browsers' lists: its owner decides that
    "security.W021",
    "security.W008",  # the proxy redirects to HTTPS; what comes from within may use HTTP
]
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
AUTHENTICATION_BACKENDS = ["shop.members.signin.AttemptLimit", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # static files come from the installed packages; there is nothing to collect

CONTENT_SECURITY_POLICY = content_security.POLICY

INSTALLED_APPS = [
    "shop.local",  # first: its runserver wins over that of staticfiles …
    "shop.console",  # … and its templates over unfold's
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "csp",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "shop.messaging",
    *contexts.APPS,
    "shop.flashsale",
]

MIDDLEWARE = [
    "shop.proxy.TrustedProxy",
    "shop.access.AccessLog",
    "shop.time_limits.WebTimeLimits",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "shop.admin.scripts.AdminScripts",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "shop.api.caching.NothingKept",
    "shop.api.bodies.LengthRequired",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "shop.tracing.TraceContext",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [("django.template.loaders.cached.Loader", ["shop.admin.templates.Loader"])],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "shop.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["shop.api.throttling.Throttle"],
    "DEFAULT_PARSER_CLASSES": ["shop.api.bodies.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["shop.api.filters.Filters"],
    "DEFAULT_PAGINATION_CLASS": "shop.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is not offered: the schema describes
    "EXCEPTION_HANDLER": "shop.api.errors.problem_response",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = schema.SETTINGS

UNFOLD = {  # the admin's looks
    "SITE_TITLE": "shop",
    "SITE_HEADER": "shop",
    "SITE_SYMBOL": "storefront",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "STYLES": [lambda request: static("console/console.css")],
    # Links in the dark theme: 4.5:1 on all that is behind them. Unfold's own is 4.3:1 and less.
    "COLORS": {"primary": {"500": "oklch(69% .22 304.5)"}},
    "LOGIN": {"form": "shop.members.signin.SignInForm"},
    "SIDEBAR": {"show_search": True, "navigation": "shop.console.navigation.navigation"},
}

ACCESS_LOG = env.bool("ACCESS_LOG", True)  # whether each request is a line in the log

LOGGING = logs.configuration(
    level=env.str("LOG_LEVEL", "INFO"),  # of everything but Celery's line for each task, which takes DEBUG
    format=env.str("LOG_FORMAT", "console", validate=validate.OneOf(logs.FORMATS)),
    access=ACCESS_LOG,
)
