"""What must be true everywhere if the spec is to hold: a pure function of spec and catalog."""
