"""Side-by-side measurements: a ratio each, against something run beside it in the same run."""
