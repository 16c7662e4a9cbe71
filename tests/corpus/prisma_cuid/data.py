"""Organizations with projects, tasks and comments; some references were never declared, and rows that they named are gone."""

from __future__ import annotations

from tests.corpus.generate import Fill


def rows(f: Fill) -> None:
    f.rows("User", 120, lambda _: {"googleId": f.digits() if f.chance(0.3) else None})
    f.rows(
        "Organization",
        8,
        lambda _: {
            "ownerId": f.ref("User"),
            "stripeCustomerId": f.prefixed("cus_"),
            "settings": {"defaultAssigneeId": f.ref("User"), "theme": f.one("dark", "light")},
        },
    )
    f.rows("Membership", 260, lambda _: {"organizationId": f.ref("Organization"), "userId": f.ref("User")})
    f.rows("Invitation", 60, lambda _: {"invitedById": f.ref("User", dead=0.1, null=0.2)})
    f.rows(
        "Project",
        60,
        lambda i: {
            "key": f"P{i}",
            "leadId": f.ref("User", dead=0.12, null=0.2),
            "visibility": f.one("private", "public", "team"),
            "budget": f.price() if f.chance(0.8) else None,
        },
    )
    f.rows("Label", 80)
    tasks = f.rows(
        "Task",
        900,
        lambda i: {
            "number": i + 1,
            "createdBy": f.ref("User", dead=0.08),
            "watcherIds": f.refs("User", 0, 4, dead=0.05),
            "deletedAt": f.when() if f.chance(0.02) else None,
            "parentTaskId": None,
        },
    )
    for task in tasks:
        if f.chance(0.3):
            above = f.pick("Task", projectId=task["projectId"])
            task["parentTaskId"] = above["id"] if above is not task else None
    f.connection.cursor().executemany(
        'update "Task" set "parentTaskId" = %(parentTaskId)s where "id" = %(id)s',
        [task for task in tasks if task["parentTaskId"]],
    )
    f.rows("_LabelToTask", 700, lambda _: label_of_task(f))
    f.rows(
        "Comment",
        900,
        lambda _: {
            "mentions": {"users": [{"id": one} for one in f.refs("User", 0, 3, dead=0.05)]} if f.chance(0.7) else None
        },
    )
    f.rows("Attachment", 400, lambda _: attachment(f))
    f.rows(
        "AuditLog",
        1200,
        lambda _: audited(f),
    )
    f.rows("Country", 4, lambda i: {"code": ("AT", "DE", "PT", "SE")[i]}, fixed=True)
    f.rows("FeatureFlag", 12)
    f.rows("Import", 0, lambda _: None)


def label_of_task(f: Fill) -> dict[str, object] | None:
    task = f.pick("Task")
    organization = f.pick("Project", id=task["projectId"])["organizationId"]
    return {"A": label, "B": task["id"]} if (label := f.ref("Label", organizationId=organization)) else None


def attachment(f: Fill) -> dict[str, object]:
    kind = f.one("Task", "Task", "Comment", "Project")
    entity = f.pick(kind)
    task = entity if kind == "Task" else f.pick("Task", id=entity["taskId"]) if kind == "Comment" else None
    project = f.pick("Project", id=task["projectId"]) if task else entity
    return {
        "organizationId": project["organizationId"],
        "entityType": kind,
        "entityId": f.ref(kind, dead=1.0) if f.chance(0.06) else entity["id"],
        "requestId": str(f.uuid()),
    }


def audited(f: Fill) -> dict[str, object]:
    task = f.pick("Task")
    organization = f.pick("Project", id=task["projectId"])["organizationId"]
    target = f.ref("Task", dead=1.0) if f.chance(0.1) else task["id"]
    return {
        "organizationId": f.ref("Organization", dead=1.0) if f.chance(0.02) else organization,
        "actorId": f.ref("User", dead=0.1, null=0.05),
        "action": f.one("task.created", "task.moved", "project.renamed"),
        "target": f"task:{target}" if f.chance(0.8) else None,
    }
