"""A member's credit, event sourced: ``account`` decides and folds, ``stream`` loads and stores."""
