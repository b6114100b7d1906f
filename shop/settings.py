"""All settings, read from the environment here and nowhere else. Units and defaults stand on each line."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, validate

from shop import contexts, exposure, logs
from shop.local.servers import addresses
from shop.throttling import Rate

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
    # Web requests wait for locks for a shorter time: WEB_LOCK_TIMEOUT.
    # A frozen process may hold a lane, or a hot row, this long and no longer. Compiling a short query costs
    # a second where the server has LLVM: estimates over many partitions are large, the rows few.
    "options": "-c idle_in_transaction_session_timeout=30s -c lock_timeout=20s -c jit=off",
}


def _database(context: str) -> dict[str, Any]:
    default = addresses.database_url(context, INSTANCE)
    if DATABASE_URL:
        server = urlsplit(DATABASE_URL)
        default = server._replace(path=f"{server.path}_{context}").geturl()
    database: dict[str, Any] = env.dj_db_url(f"{context.upper()}_DATABASE_URL", default, conn_max_age=None)
    database["CONN_HEALTH_CHECKS"] = True  # once a request, before its first query
    database["OPTIONS"] = CONNECTION_OPTIONS | database.get("OPTIONS", {})
    return database


WEB_LOCK_TIMEOUT = env.float("WEB_LOCK_TIMEOUT", 2)  # seconds that a web request waits for a lock, then 503

# --- The web process (shop/asgi.py), each of several ----------------------------------------------

WEB_THREADS = env.int("WEB_THREADS", 8)  # requests answered at once, each with a connection per database that it needs
WEB_QUEUE = env.int("WEB_QUEUE", 1000)  # whole requests that wait for a thread, then 503
WEB_QUEUE_TIME = env.float("WEB_QUEUE_TIME", 10)  # seconds that one waits for a thread, then 503
BODY_LIMIT = env.int("BODY_LIMIT", 1_000_000)  # bytes of a request's body, then 413
BODIES_LIMIT = env.int("BODIES_LIMIT", 64_000_000)  # bytes of all bodies that are held at once, then 503
BODY_TIME = env.float("BODY_TIME", 10)  # seconds that a body may take to arrive, then 408

DATABASES = {alias: _database(context) for context, alias in CONTEXTS.items()}
DATABASE_ROUTERS = ["shop.databases.ContextRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.str("BROKER_URL", "") or addresses.broker_url(INSTANCE)  # Redis, Valkey or RabbitMQ
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

# --- Messaging ------------------------------------------------------------------------------------

OUTBOX_LANES = env.int("OUTBOX_LANES", 4)  # lanes of an outbox that is yet to be created
SCAN_INTERVAL = env.float("SCAN_INTERVAL", 0.5)  # seconds between two scans of an outbox
RELAY_EVENTS = env.int("RELAY_EVENTS", 1000)  # events in a batch, at most
RELAY_BYTES = env.int("RELAY_BYTES", 1_000_000)  # bytes of event data in a batch, at most; at least one event
RELAY_RESEND_AFTER = timedelta(seconds=env.float("RELAY_RESEND_AFTER", 5))  # without acknowledgement; then doubled
RELAY_RESEND_LIMIT = timedelta(seconds=env.float("RELAY_RESEND_LIMIT", 60))  # between two resends, at most
RELAY_IDLE = timedelta(seconds=env.float("RELAY_IDLE", 10))  # between two empty batches of an idle subscription

# --- The shop -------------------------------------------------------------------------------------

CURRENCY = env.str("CURRENCY", "CNY")  # ISO 4217, of every price; amounts are in its minor unit
ORDER_TIME_LIMIT = timedelta(seconds=env.float("ORDER_TIME_LIMIT", 900))  # an order still open after it is cancelled
ORDER_SWEEP_INTERVAL = env.float("ORDER_SWEEP_INTERVAL", 5)  # seconds between two looks for such orders
IDEMPOTENCY_KEY_LIFE = timedelta(days=env.float("IDEMPOTENCY_KEY_LIFE", 30))  # then a key may be used anew

# --- Limits: 30/m, 10/15m (s, m, h, d) or off. Windows begin with the first act; see shop/throttling.py ----

SIGN_IN_FAILURES = env.rate("SIGN_IN_FAILURES", "10/15m")  # of a user name from one address
SIGN_IN_FAILURES_PER_NAME = env.rate("SIGN_IN_FAILURES_PER_NAME", "50/h")  # from all addresses together
SIGN_IN_FAILURES_PER_ADDRESS = env.rate("SIGN_IN_FAILURES_PER_ADDRESS", "100/15m")  # of all user names
WRONG_TOKENS_PER_ADDRESS = env.rate("WRONG_TOKENS_PER_ADDRESS", "30/m")  # logged, then 429 instead of 401
ORDERS_PER_MEMBER = env.rate("ORDERS_PER_MEMBER", "30/m")  # POSTs of a user
ORDERS_PER_ADDRESS = env.rate("ORDERS_PER_ADDRESS", "1200/m")  # many members may share an address
SEARCHES_PER_MEMBER = env.rate("SEARCHES_PER_MEMBER", "120/m")  # GETs of lists by a user
SEARCHES_PER_ADDRESS = env.rate("SEARCHES_PER_ADDRESS", "1200/m")  # of all users and of strangers

# --- Django ---------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "only-for-a-stack-on-one-machine-set-your-own-in-production")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
if not all(map(exposure.is_loopback, ALLOWED_HOSTS)) and (fault := exposure.fault_of(SECRET_KEY)):
    raise ImproperlyConfigured(f"ALLOWED_HOSTS goes beyond this machine, but {fault}")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", False)  # True where all is behind HTTPS
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 0)  # seconds that browsers are to insist on HTTPS; 0: not at all
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

INSTALLED_APPS = [
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
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "shop.messaging",
    *contexts.APPS,
    "shop.console",
    "shop.flashsale",
    "shop.local",
]

MIDDLEWARE = [
    "shop.lock_timeout.WebLockTimeout",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
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
        "APP_DIRS": True,
        "OPTIONS": {
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
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
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
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "shop.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "shop.api.errors.problem_response",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "shop",
    "DESCRIPTION": "Orders and stock of an event-driven shop. Amounts are integers of the currency's minor unit.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "shop.api.problems.describe_problems",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",  # the docs page's scripts, without a network
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

UNFOLD = {  # the admin's looks
    "SITE_TITLE": "shop",
    "SITE_HEADER": "shop",
    "SITE_SYMBOL": "storefront",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "LOGIN": {"form": "shop.members.signin.SignInForm"},
    "SIDEBAR": {"show_search": True, "navigation": "shop.console.navigation.navigation"},
}

LOGGING = logs.configuration(
    level=env.str("LOG_LEVEL", "INFO"),  # of everything but Celery's line for each task, which takes DEBUG
    format=env.str("LOG_FORMAT", "console", validate=validate.OneOf(logs.FORMATS)),
)
