"""What is known about OpenStack: services, releases and their options, as data."""
