"""Every route on one page."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import path, register_converter
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from inventory import views as inventory
from orders import views as orders
from readmodel import views as readmodel
from shop import health
from shop.api.converters import CONVERTERS
from shop.catalogue import views as catalogue
from shop.marketing import views as marketing
from shop.members import views as members
from shop.members.signin import sign_in

for name, converter in CONVERTERS.items():
    register_converter(converter, name)


class Orders(readmodel.ListOrders, orders.PlaceOrder):
    """One address, two contexts: the list is the read model's, the command the orders'."""


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("admin/login/", sign_in),  # the admin's, limited
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url=static("console/favicon.svg"))),  # asked for by every browser
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/orders/", Orders.as_view(), name="orders"),
    path("api/orders/<order:order_id>/", orders.OrderDetail.as_view(), name="order"),
    path("api/orders/<order:order_id>/cancel/", orders.CancelOrder.as_view()),
    path("api/orders/<order:order_id>/ship/", orders.ShipOrder.as_view()),
    path("api/orders/<order:order_id>/returns/", orders.ReturnGoods.as_view()),
    path("api/catalogue/products/", catalogue.Products.as_view()),
    path("api/catalogue/products/<sku:sku>/", catalogue.ProductDetail.as_view(), name="product"),
    path("api/inventory/stock/", inventory.StockList.as_view()),
    path("api/inventory/stock/<sku:sku>/", inventory.StockDetail.as_view()),
    path("api/inventory/stock/<sku:sku>/receive/", inventory.ReceiveStock.as_view()),
    path("api/inventory/stock/<sku:sku>/adjust/", inventory.AdjustStock.as_view()),
    path("api/inventory/stock/<sku:sku>/movements/", inventory.Movements.as_view()),
    path("api/marketing/campaigns/", marketing.Campaigns.as_view()),
    path("api/marketing/campaigns/<order:campaign_id>/", marketing.CampaignDetail.as_view(), name="campaign"),
    path("api/members/me/", members.Me.as_view()),
    path("api/members/<member:member_id>/credit/", members.CreditLimit.as_view()),
]

handler400 = "shop.api.problems.bad_request"
handler403 = "shop.api.problems.forbidden"
handler404 = "shop.api.problems.not_found"
handler500 = "shop.api.problems.server_error"
