"""Drills: real faults on a running cluster, watched from outside as a client would."""
