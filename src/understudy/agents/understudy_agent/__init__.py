"""The core of the OCF resource agents of the ``openstack`` provider: standard library only, no import of understudy."""
