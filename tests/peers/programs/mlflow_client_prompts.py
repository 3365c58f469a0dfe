"""Prompts and webhooks through MLflow's client: `python mlflow_client_prompts.py SERVER`; see `mlflow_outcomes.py`."""

import threading
import time

import mlflow
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException
from mlflow_outcomes import client, end, tell, tell_each

MADE = WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED)
ELSEWHERE = "https://93.184.216.34/webhook"
"""An address that nobody has to look up, and that is not called while no event happens."""


def settle():
    """Wait until prompts are linked to the experiment, which the client does in the background."""
    for thread in threading.enumerate():
        if "prompt" in thread.name:
            thread.join(30)


def register(name, template, **described):
    """Register a version of a prompt, and give its number."""
    made = client.register_prompt(name, template, **described)
    settle()
    return made.version


def load(name, **asked):
    """Load a prompt, past the client's cache."""
    found = client.load_prompt(name, cache_ttl_seconds=0, **asked)
    settle()
    return found and (found.version, found.template, found.tags, sorted(found.aliases))


def prompts():
    """Register, load and delete prompts and their versions."""
    tell("register", register, "greet", "Hi {{name}}", commit_message="friendly", tags={"author": "Ana"})
    tell("again", register, "greet", "¡Hola {{name}}!", tags={"author": "Bob"})
    tell("load", load, "greet", version=1)
    tell("load address", load, "prompts:/greet/2")
    tell("load latest", load, "prompts:/greet@latest")
    tell("tags of the prompt", lambda: client.get_prompt("greet").tags)
    tell("tag", client.set_prompt_tag, "greet", "k", "v")
    tell("untag", client.delete_prompt_tag, "greet", "author")
    tell("tagged", lambda: client.get_prompt("greet").tags)
    tell("tag version", client.set_prompt_version_tag, "greet", 1, "env", "prod")
    tell("tag no version", client.set_prompt_version_tag, "greet", 99, "env", "prod")
    tell("too long", register, "long", "a" * 100_001)
    tell("not made", load, "long", version=1)
    tell("long", register, "long", "a" * 100_000)
    names = ("", 123, "a/2", "m%6fdel", "what?!", "with space", "x" * 257)
    tell_each("prompt name", lambda name: register(name, "x"), names)
    client.create_registered_model("model")
    client.create_model_version("model", "s3://b/source")
    tell("the name of a model", register, "model", "x")
    tell("load a model", load, "model", version=1)
    tell("get a model", client.get_prompt, "model")
    for address in ("prompts:/nope/1", "prompts:/nope@prod", "prompts:/greet/999", "prompts:/greet@nope"):
        tell(f"load {address}", load, address)
        tell(f"load {address} or none", load, address, allow_missing=True)
    tell("alias", client.set_prompt_alias, "greet", "prod", 1)
    tell("by alias", load, "prompts:/greet@prod")
    tell("alias of none", client.set_prompt_alias, "greet", "z", 99)
    for name, call in {
        "rename": lambda: client.rename_registered_model("greet", "n"),
        "describe": lambda: client.update_registered_model("greet", "d"),
        "delete": lambda: client.delete_registered_model("greet"),
        "get": lambda: client.get_registered_model("greet"),
        "latest": lambda: client.get_latest_versions("greet"),
        "tag": lambda: client.set_registered_model_tag("greet", "t", "v"),
        "stage": lambda: client.transition_model_version_stage("greet", 1, "Production"),
        "version": lambda: client.get_model_version("greet", 1),
        "by alias": lambda: client.get_model_version_by_alias("greet", "prod"),
        "copy": lambda: client.copy_model_version("models:/greet/1", "n"),
    }.items():
        tell(f"as a model: {name}", call)
    tell("unalias", client.delete_prompt_alias, "greet", "prod")
    chat = [{"role": "system", "content": "Be {{style}}"}, {"role": "user", "content": "{{q}}"}]
    tell("chat", register, "chat", chat, response_format={"type": "string"}, model_config={"model_name": "m"})
    for key in ("template", "response_format"):
        tell(f"{key} again", lambda: getattr(client.get_prompt_version("chat", 1), key))  # noqa: B023
    tell("config", mlflow.genai.set_prompt_model_config, "chat", 1, {"model_name": "other"})
    tell("config again", lambda: client.get_prompt_version("chat", 1).model_config)


def searches():
    """Search prompts and their versions."""
    for n in range(3):
        register(f"sought_{n}", "x {{y}}")
    names = lambda text=None, **asked: [p.name for p in client.search_prompts(filter_string=text, **asked)]  # noqa: E731
    tell_each("prompts with", names, (None, "name = 'sought_1'", "name LIKE 'sought%'", "tags.k = 'v'"))
    tell("two prompts", names, max_results=2)
    numbers = lambda name, **asked: [p.version for p in client.search_prompt_versions(name, **asked)]  # noqa: E731
    tell_each("versions of", numbers, ("greet", "nope", "model"))
    tell("one version", numbers, "greet", max_results=1)


def deletions():
    """Delete versions and prompts."""
    register("gone", "1")
    register("gone", "2")
    client.set_prompt_alias("gone", "prod", 2)
    for name, call in {
        "version": lambda: client.delete_prompt_version("gone", "2"),
        "version again": lambda: client.delete_prompt_version("gone", "2"),
        "loaded": lambda: load("gone", version=2),
        "latest": lambda: load("prompts:/gone@latest"),
        "by alias": lambda: load("prompts:/gone@prod"),
        "the last version": lambda: client.delete_prompt_version("gone", "1"),
        "no versions": lambda: client.search_prompt_versions("gone").to_list(),
        "the next number": lambda: register("gone", "3"),
        "prompt": lambda: client.delete_prompt("gone"),
        "prompt again": lambda: client.delete_prompt("gone"),
        "of the prompt": lambda: client.get_prompt("gone"),
        "the first number": lambda: register("gone", "1"),
    }.items():
        tell(f"deleted: {name}", call)


def links():
    """Link prompts to runs, models and experiments."""
    run, prompt = client.create_run("0").info.run_id, client.get_prompt_version("greet", 1)
    tell("link", client.link_prompt_version_to_run, run, prompt)
    tell("link an address", client.link_prompt_version_to_run, run, "prompts:/chat/1")
    tell("link a number", client.link_prompt_version_to_run, run, 123)
    tell("linked", lambda: client.get_run(run).data.tags.get("mlflow.linkedPrompts"))
    tell("link to no run", client.link_prompt_version_to_run, "0" * 32, prompt)
    model = client.create_logged_model("0").model_id
    tell("link to a model", client.link_prompt_version_to_model, "chat", "1", model)
    tell("linked to it", lambda: client.get_logged_model(model).tags.get("mlflow.linkedPrompts"))
    tell("link to no model", client.link_prompt_version_to_model, "chat", "1", "m-" + "0" * 32)


def webhooks():
    """Make, change, list and delete webhooks."""

    def shown(webhook):
        keys = (
            "name",
            "url",
            "description",
            "status",
            "secret",
            "creation_timestamp",
            "last_updated_timestamp",
        )
        return sorted(map(str, webhook.events)), {key: getattr(webhook, key) for key in keys}

    def make(name="w", url=ELSEWHERE, events=(MADE,), **described):
        return shown(client.create_webhook(name, url, list(events), **described))

    tell("webhook", make)
    tell("signed webhook", make, secret="my_secret", description="why", status=WebhookStatus.DISABLED)
    names = (
        "",
        "   ",
        "a<b>",
        "a@b",
        "a/b",
        "-w",
        "w-",
        "_w",
        "w.",
        "a" * 64,
        "a",
        "1",
        "web_hook.x",
        "A" * 63,
        "w x",
    )
    tell_each("webhook name", lambda name: make(name)[1]["name"][:9], names)
    addresses = ("", "   ", "ftp://93.184.216.34/w", "http://[invalid-url", "invalid_url", "93.184.216.34/w")
    tell_each("webhook address", lambda url: make(url=url)[1]["url"], addresses)
    tell("no events", make, events=())
    for entity in WebhookEntity:
        of_entity = lambda action: make(events=[WebhookEvent(entity, action)])[0]  # noqa: B023, E731
        tell_each(f"event of {entity}", of_entity, WebhookAction)
    kept = client.create_webhook("kept", ELSEWHERE, [MADE], description="original").webhook_id
    time.sleep(0.002)
    more = [MADE, WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED)]
    changes = (
        *(
            {"name": "renamed"},
            {"url": ELSEWHERE + "/u", "events": more, "status": WebhookStatus.DISABLED},
            {},
        ),
        *(
            {"secret": "new", "description": "d"},
            {"url": "   "},
            {"url": "ftp://93.184.216.34"},
            {"name": "-x"},
        ),
    )
    tell_each("change webhook", lambda change: shown(client.update_webhook(kept, **change)), changes)
    for call in (client.get_webhook, client.delete_webhook, client.update_webhook, client.test_webhook):
        tell(f"nonexistent: {call.__name__}", call, "nonexistent")
    tell("delete webhook", client.delete_webhook, kept)
    tell("deleted webhook", client.get_webhook, kept)
    for each in client.list_webhooks(max_results=1000):
        client.delete_webhook(each.webhook_id)
    for n in range(5):
        make(f"webhook{n}")
        time.sleep(0.002)
    tell("pages of webhooks", pages_of_webhooks)
    tell("too many webhooks", client.list_webhooks, max_results=1001)


def pages_of_webhooks():
    """Give the names of each page of two."""
    found, token = [], None
    while not found or token:
        page = client.list_webhooks(max_results=2, page_token=token)
        found.append([webhook.name for webhook in page])
        token = page.token
    return found


def switched_off():
    """Ask for what only MLflow's own server keeps."""
    tell("MCP servers", client.search_mcp_servers)
    tell("an MCP server", client.create_mcp_server, "io.github.ana/weather")


for part in (prompts, searches, deletions, links, webhooks, switched_off):
    try:
        part()
    except MlflowException as error:
        tell(f"{part.__name__} did not end", str, error)
    settle()
end()
