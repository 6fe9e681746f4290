"""What is measured. Each module has `run(context) -> list[Result]` and leaves the server without its keys."""
