"""Schools on Django. Generic relations name a content type by its number, and the object by a number or a text."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row

MODELS = {
    "admin.logentry": None,
    "auth.user": "auth_user",
    "schools.school": "schools_school",
    "courses.course": "courses_course",
    "courses.student": "courses_student",
    "courses.lesson": "courses_lesson",
}
NUMBERS = {label: i + 1 for i, label in enumerate(MODELS)}


def rows(f: Fill) -> None:
    f.rows("django_migrations", 40, lambda i: {"app": f.one("auth", "courses", "schools"), "name": f"{i:04d}_auto"})
    f.rows(
        "django_content_type",
        len(MODELS),
        lambda i: dict(zip(("id", "app_label", "model"), (i + 1, *list(MODELS)[i].split(".")), strict=True)),
        fixed=True,
    )
    f.rows("django_session", 90, lambda _: {"session_key": f.hex(32), "session_data": f.hex(120)})
    f.rows(
        "auth_permission",
        24,
        lambda i: {"content_type_id": i // 4 + 1, "codename": f"{f.one('add', 'view')}_{i}"},
        fixed=True,
    )
    f.rows("auth_group", 4, lambda i: {"name": ("teachers", "heads", "parents", "office")[i]}, fixed=True)
    f.rows("auth_group_permissions", 40)
    f.rows(
        "auth_user",
        220,
        lambda i: {
            "password": f"pbkdf2_sha256$870000${f.hex(22)}${f.hex(44)}",
            "username": f"person{i}",
            "email": f.email(),
        },
    )
    f.rows("auth_user_groups", 300)
    f.rows("schools_school", 9, lambda i: {"code": f"SCH{i:03d}"})
    f.rows("schools_staff", 240, lambda _: {"role": f.one("teacher", "head", "office")})
    f.rows("courses_course", 160, lambda _: course(f))
    f.rows("courses_student", 700, lambda _: {"born": f.day(), "registry_id": f.number(10_000_000, 99_999_999)})
    f.rows("courses_course_students", 1500, lambda _: enrolment(f))
    f.rows("courses_room", 120, lambda _: {"number": f.number(1, 60), "floor": f.number(0, 4)})
    f.rows("courses_lesson", 1200, lambda _: lesson(f))
    f.rows("django_admin_log", 600, lambda _: logged(f))
    f.rows("files_document", 400, lambda _: document(f))
    f.rows("notify_notification", 500, lambda _: notification(f))


def course(f: Fill) -> Row:
    staff = f.pick("schools_staff")
    prerequisites = f.refs("courses_course", 0, 2, school_id=staff["school_id"], dead=0.03)
    return {
        "school_id": staff["school_id"],
        "teacher_id": staff["user_id"],
        "options": {"prerequisites": prerequisites, "online": f.chance(0.5)},
    }


def enrolment(f: Fill) -> Row | None:
    one = f.pick("courses_course")
    student = f.ref("courses_student", school_id=one["school_id"])
    return {"course_id": one["id"], "student_id": student} if student else None


def lesson(f: Fill) -> Row:
    one = f.pick("courses_course")
    substitute = f.maybe("schools_staff", school_id=one["school_id"])
    return {
        "course_id": one["id"],
        "room_ref": f.ref("courses_room", school_id=one["school_id"], dead=0.05, null=0.1),
        "substitute": substitute["user_id"] if substitute and f.chance(0.2) else None,
    }


def of(f: Fill, *labels: str, dead: float) -> tuple[int, int]:
    label = f.one(*labels)
    return NUMBERS[label], f.ref(str(MODELS[label]), dead=dead)


def logged(f: Fill) -> Row:
    kind, number = of(f, "courses.course", "courses.student", "auth.user", dead=0.08)
    return {
        "content_type_id": kind,
        "object_id": str(number),
        "action_flag": f.number(1, 3),
        "change_message": '[{"changed": {}}]',
    }


def document(f: Fill) -> Row:
    kind, number = of(f, "courses.course", "courses.student", dead=0.05)
    return {
        "content_type_id": kind,
        "object_id": number,
        "file": f"documents/{f.hex(10)}.pdf",
        "uploaded_by": f.ref("auth_user", dead=0.1),
    }


def notification(f: Fill) -> Row:
    kind, number = of(f, "courses.lesson", "courses.course", dead=0.05)
    lesson = f.maybe("courses_lesson", id=number) if kind == NUMBERS["courses.lesson"] else None
    course = f.maybe("courses_course", id=lesson["course_id"] if lesson else number)
    school = course["school_id"] if course else f.ref("schools_school")
    return {
        "actor_content_type_id": kind,
        "actor_object_id": str(number),
        "verb": f.one("moved", "cancelled"),
        "data": f'{{"url": "/schools/{school}/"}}' if f.chance(0.7) else None,
    }
