"""DRF wiring, the same for every context: who is asking, what a body may say, pages, errors.

Views validate, make one domain call, and represent.
"""
