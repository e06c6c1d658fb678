"""Contiv's REST API: JSON bodies to core values, and core values to answers.

`fields` has the rule of each field, `bodies` and `states` the objects, `requests` parses, `answers` and `opers` show.
"""
