"""The ASGI application: what a web process runs, such as ``granian shop.asgi:application --interface asginl``."""

from django.conf import settings

from shop.web.bodies import Bodies
from shop.web.process import WebProcess
from shop.web.threads import Threads
from shop.wsgi import application as django

application = WebProcess(
    django,
    bodies=Bodies(limit=settings.BODY_LIMIT, total=settings.BODIES_LIMIT, seconds=settings.BODY_TIME),
    threads=Threads(threads=settings.WEB_THREADS, queue=settings.WEB_QUEUE, seconds=settings.WEB_QUEUE_TIME),
)
