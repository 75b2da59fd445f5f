"""Tests of what needs an extra (Flask, prometheus_client): every ordinary environment runs them, noextras does not."""
