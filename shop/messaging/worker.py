"""What a worker of Celery does at its start, less what we have no use for."""

from celery.worker import consumer

DELAYED = ":DelayedDelivery"


class Consumer(consumer.Consumer):
    """Celery's, without delayed delivery.

    Where queues are of the type quorum, each worker would declare 28 queues and 29 exchanges in RabbitMQ for tasks with
    an ETA, of which there are none. The one setting for it, ``worker_detect_quorum_queues``, is also what makes the
    prefetch count one that quorum queues accept.
    """

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc, valid-type]
        """The steps of a worker's start."""

        default_steps = [step for step in consumer.Consumer.Blueprint.default_steps if not step.endswith(DELAYED)]
