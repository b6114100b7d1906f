"""Every route on one page."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from inventory import views as inventory
from orders import views as orders
from readmodel import views as readmodel
from shop import health
from shop.catalogue import views as catalogue
from shop.members import views as members
from shop.members.signin import sign_in


class Orders(readmodel.ListOrders, orders.PlaceOrder):
    """One address, two contexts: the list is the read model's, the command the orders'."""


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("admin/login/", sign_in),  # the admin's, limited
    path("admin/", admin.site.urls),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/orders/", Orders.as_view(), name="orders"),
    path("api/orders/<uuid:order_id>/", orders.OrderDetail.as_view(), name="order"),
    path("api/orders/<uuid:order_id>/cancel/", orders.CancelOrder.as_view()),
    path("api/catalogue/products/", catalogue.Products.as_view()),
    path("api/catalogue/products/<str:sku>/", catalogue.ProductDetail.as_view(), name="product"),
    path("api/inventory/stock/", inventory.StockList.as_view()),
    path("api/inventory/stock/<str:sku>/", inventory.StockDetail.as_view()),
    path("api/inventory/stock/<str:sku>/receive/", inventory.ReceiveStock.as_view()),
    path("api/inventory/stock/<str:sku>/adjust/", inventory.AdjustStock.as_view()),
    path("api/inventory/stock/<str:sku>/movements/", inventory.Movements.as_view()),
    path("api/members/me/", members.Me.as_view()),
]

handler400 = "shop.api.problems.bad_request"
handler403 = "shop.api.problems.forbidden"
handler404 = "shop.api.problems.not_found"
handler500 = "shop.api.problems.server_error"
