"""How an instrument agent answers: calls, questions, promises of answers, interlocks at work."""
