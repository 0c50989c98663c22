"""The notice of the tutorial with kopf. Its CRD and its rights are written by hand: notice.kopf.yaml."""

# count: imports
import datetime

import kopf
import kubernetes
import prometheus_client

# count: controller

NAMESPACE = "default"
TEXTS_SHOWN = prometheus_client.Counter("texts_shown", "Texts that were shown")


def condition(old, kind, holds, reason, message, generation):
    """A condition, with the time of its last change."""
    state = "True" if holds else "False"
    same = next((one for one in old if one["type"] == kind and one["status"] == state), None)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": same["lastTransitionTime"] if same else now,
    }


def find(core, name, uid):
    """The ConfigMap of a notice, if it is there."""
    try:
        found = core.read_namespaced_config_map(name, NAMESPACE)
    except kubernetes.client.ApiException as error:
        if error.status == 404:
            return None
        raise
    owners = found.metadata.owner_references or []
    return found if any(owner.uid == uid for owner in owners) else None


@kopf.timer("example.org", "v1", "notices", interval=5, idle=1)
def reconcile(body, spec, status, name, uid, patch, **_):
    """Keeps a ConfigMap for a notice until its time is over."""
    core = kubernetes.client.CoreV1Api()
    until = spec.get("until")
    over = until is not None and datetime.datetime.fromisoformat(until) <= datetime.datetime.now(datetime.timezone.utc)
    old = find(core, name, uid)
    if over and old is not None:
        wanted = kubernetes.client.V1Preconditions(uid=old.metadata.uid, resource_version=old.metadata.resource_version)
        options = kubernetes.client.V1DeleteOptions(preconditions=wanted)
        core.delete_namespaced_config_map(name, NAMESPACE, body=options)
        kopf.info(body, reason="Over", message="the text was taken down")
    elif not over and old is None:
        config = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": {"text": spec["text"]}}
        kopf.append_owner_reference(config, owner=body)
        try:
            core.create_namespaced_config_map(NAMESPACE, config)
        except kubernetes.client.ApiException as error:
            kopf.warn(body, reason="Refused", message=f"no ConfigMap: {error.reason}")
            raise kopf.TemporaryError(str(error), delay=5) from error
        kopf.info(body, reason="Shown", message="the text is shown")
        TEXTS_SHOWN.inc()
    generation, before, shown = body["metadata"]["generation"], status.get("conditions", []), old is not None
    patch.status["observedGeneration"] = generation
    patch.status["conditions"] = [
        condition(before, "Shown", shown, "Seen", "Whether the ConfigMap is there.", generation),
        condition(before, "Ready", over != shown, "Over" if over else "Wanted", "", generation),
    ]
