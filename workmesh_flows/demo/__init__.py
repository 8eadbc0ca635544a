"""The sample: a SaaS that sends e-mails, and a micro-service that scores their timeline."""
