"""YAML files that users write: read safely, checked against models, every problem told with its line and column.

The names are in :mod:`~agentlab.yamlfile.problems`, :mod:`~agentlab.yamlfile.document` and
:mod:`~agentlab.yamlfile.models`; this module imports none of them, for they need yaml and pydantic.
"""
