"""The sample context."""

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class SampleConfig(ContextConfig):
    default = True
    name = "tests.contexts.sample"
    label = "sample"
    verbose_name = "Sample"
    menu = (Entry("Greetings", "greeting", "waving_hand"),)
    roles = {"greeters": ("view_greeting",)}
    sweeps = (Sweep("forget-greetings", "tests.contexts.sample.tasks.forget_greetings", every=60),)
