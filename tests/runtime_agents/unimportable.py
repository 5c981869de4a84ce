import surely_not_installed  # noqa: F401 - what a user has forgotten
