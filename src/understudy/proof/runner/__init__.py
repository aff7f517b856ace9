"""Running Pacemaker's scheduler: in-process where the library is known, through ``crm_simulate`` elsewhere."""
