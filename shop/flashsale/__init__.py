"""A flash sale over HTTP against a running shop: many buyers, one product, too little of it.

The buyers behave as clients do that cannot know whether a request arrived: they send it again, under the
same Idempotency-Key, until they are answered. So the shop's processes may die meanwhile.
"""

from shop.flashsale.client import Client, ShopError
from shop.flashsale.figures import Figures
from shop.flashsale.mix import hold_mix
from shop.flashsale.mix_figures import MixFigures
from shop.flashsale.sale import Listener, hold_sale

__all__ = ["Client", "Figures", "Listener", "MixFigures", "ShopError", "hold_mix", "hold_sale"]
