"""Drive webhooks with MLflow's own client: `python mlflow_webhooks.py SERVER RECEIVER`.

Prints one line of JSON with what the client saw.
"""

import json
import sys

from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

server, receiver = sys.argv[1:]
client = MlflowClient(tracking_uri=server, registry_uri=server)
created = WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED)
versions = [
    WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED),
    WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.SET),
    WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.DELETED),
    WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
    WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.DELETED),
]
seen = {}

signed = client.create_webhook(
    name="signed", url=f"{receiver}/signed", events=[created], secret="test-secret-key", description="why"
)
plain = client.create_webhook(name="plain", url=f"{receiver}/plain", events=versions)
seen["read_back"] = [signed.name, signed.url, signed.description, signed.secret, signed.status.value]
seen["events"] = [str(event) for event in client.get_webhook(plain.webhook_id).events]

result = client.test_webhook(signed.webhook_id)
seen["tested"] = [result.success, result.response_status, result.error_message]
result = client.test_webhook(plain.webhook_id, event=versions[1])
seen["tested_other"] = [result.success, result.response_status]

client.create_registered_model("digits", tags={"k": "v"}, description="d")
version = client.create_model_version(
    "digits", source="s3://bucket/model", run_id="1234567890abcdef", tags={"a": "b"}, description="vd"
)
client.set_model_version_tag("digits", version.version, "key", "new")
client.set_registered_model_alias("digits", "champion", version.version)

updated = client.update_webhook(signed.webhook_id, name="renamed", status=WebhookStatus.DISABLED)
seen["updated"] = [updated.name, updated.status.value, updated.url == signed.url]
seen["time_moved"] = updated.last_updated_timestamp > signed.last_updated_timestamp

for n in range(3):
    client.create_webhook(name=f"page{n}", url="https://example.com/never-called", events=[created])
page = client.list_webhooks(max_results=2)
rest = client.list_webhooks(max_results=100, page_token=page.token)
seen["pages"] = [[webhook.name for webhook in page], [webhook.name for webhook in rest], rest.token or None]

client.delete_webhook(signed.webhook_id)
try:
    client.get_webhook(signed.webhook_id)
except MlflowException as error:
    seen["gone"] = [error.error_code, f"Webhook with ID {signed.webhook_id} not found" in str(error)]
for url in ("   ", "ftp://example.com", "http://[invalid"):
    try:
        client.update_webhook(plain.webhook_id, url=url)
    except MlflowException as error:
        seen.setdefault("refused", []).append([error.error_code, "ebhook URL" in str(error)])
print(json.dumps(seen))
