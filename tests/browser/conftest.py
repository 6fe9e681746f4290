"""The browser in which the examples are looked at."""

from support.browsers import browser
