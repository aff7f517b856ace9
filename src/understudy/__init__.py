"""understudy: highly available OpenStack control planes on Pacemaker, from one file."""

__version__ = "0.1.0"
