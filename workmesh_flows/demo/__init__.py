"""The sample: a SaaS that sends e-mails, and the micro-service that keeps their timeline."""
