"""The observer "trace": what is created, what is started, who dies."""
