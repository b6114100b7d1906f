"""What a fresh shop sells, and who buys there."""

from typing import Any

STOCK = 500  # pieces of each sample product

PRODUCTS: dict[str, dict[str, Any]] = {
    "phone-x1": {
        "name": "Phone X1 智能手机",
        "category": "手机",
        "price": 299_900,
        "attributes": {"storage": "256 GB"},
    },
    "phone-mini": {"name": "Phone Mini 小屏手机", "category": "手机", "price": 199_900},
    "phone-case": {"name": "苹果手机壳", "category": "配件", "price": 4_900, "attributes": {"colour": "透明"}},
    "charger-65w": {"name": "65 W charger 快充充电器", "category": "配件", "price": 12_900},
    "cable-usb-c": {"name": "USB-C cable, 1 m", "category": "配件", "price": 2_900},
    "earbuds": {"name": "Wireless earbuds 无线耳机", "category": "音频", "price": 39_900},
    "speaker": {"name": "蓝牙音箱", "category": "音频", "price": 25_900},
    "kettle": {"name": "Electric kettle 电热水壶", "category": "厨房", "price": 15_900},
    "tea-longjing": {"name": "西湖龙井 绿茶", "category": "食品", "price": 8_800, "attributes": {"weight": "100 g"}},
    "tea-puer": {"name": "Pu'er tea 普洱茶", "category": "食品", "price": 6_600, "attributes": {"weight": "200 g"}},
    "novel": {"name": "红楼梦 (Dream of the Red Chamber)", "category": "图书", "price": 5_980},
    "umbrella": {"name": "Umbrella 晴雨伞", "category": "家居", "price": 7_900},
}

MEMBERS = 50

NAMES = ("Ada", "Bao", "Chen Jing", "Dong Mei", "Emil", "Fang Wei", "Grace", "Hu Yang", "Ines", "Jia Li")


def member_name(number: int) -> str:
    """Return the name of the sample member of that number, counted from 1."""
    return f"{NAMES[(number - 1) % len(NAMES)]} {number}"
