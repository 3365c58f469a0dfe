"""Who is told of alerts: by mail, by signed webhook, in Slack and in Teams."""
