"""The rules, one module a question. Pure: state and time in, consequences out."""
