from setuptools import setup  # noqa: D100 - for tools that still look for this file: everything stands in pyproject.toml

setup()
