"""The command line: `unskew …`. Arguments become service calls, results become text or JSON; no logic."""
