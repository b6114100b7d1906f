"""A flash sale over HTTP against a running shop: many buyers, one product, too little of it.

The buyers behave as clients do that cannot know whether a request arrived: they send it again, under the
same Idempotency-Key, until they are answered. So the shop's processes may die meanwhile.
"""

from shop.local.sale.figures import Figures
from shop.local.sale.holding import Told, hold_sale
from shop.local.sale.shop import Shop, ShopError

__all__ = ["Figures", "Shop", "ShopError", "Told", "hold_sale"]
