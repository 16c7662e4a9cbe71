"""Companies whose tables refer to each other in circles: offices and companies, departments and employees, employees among themselves."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row


def rows(f: Fill) -> None:
    companies = f.rows("companies", 7, lambda _: {"main_office_id": None})
    f.rows("offices", 20)
    for one in companies:
        one["main_office_id"] = f.ref("offices", company_id=one["id"])
    departments = f.rows("departments", 50, lambda _: {"parent_id": None, "manager_id": None})
    employees = f.rows("employees", 500, lambda i: employee(f, i))
    for one in departments:
        one["manager_id"] = f.ref("employees", company_id=one["company_id"], null=0.1)
        above = f.maybe("departments", company_id=one["company_id"])
        one["parent_id"] = above["id"] if above and above["id"] < one["id"] else None
    for one in employees:
        one["mentor_id"] = f.ref("employees", company_id=one["company_id"], null=0.5)
        one["deputy"] = f.ref("employees", company_id=one["company_id"], null=0.4, dead=0.08)
    cursor = f.connection.cursor()
    cursor.executemany("update companies set main_office_id = %(main_office_id)s where id = %(id)s", companies)
    cursor.executemany(
        "update departments set manager_id = %(manager_id)s, parent_id = %(parent_id)s where id = %(id)s", departments
    )
    cursor.executemany(
        "update employees set mentor_id = %(mentor_id)s, deputy = %(deputy)s where id = %(id)s", employees
    )
    f.rows("contracts", 450, lambda i: {"id": employees[i]["id"]} if i < len(employees) else None)
    f.rows("contract_pages", 900, lambda _: page(f))
    f.rows(
        "employee_details",
        300,
        lambda i: {"employee_id": employees[i]["id"], "started": german_day(f)} if i < len(employees) else None,
    )
    f.rows("skills", 25, lambda i: {"name": f"{f.word()} {i}"})
    f.rows("_EmployeeSkills", 900)
    f.rows("_Follows", 600, lambda _: colleagues(f))
    f.rows("leave_requests", 800, lambda _: leave(f))


def employee(f: Fill, i: int) -> Row:
    department = f.pick("departments")
    return {
        "company_id": department["company_id"],
        "department_id": department["id"],
        "mentor_id": None,
        "deputy": None,
        "badge_no": 7000 + i,
        "work_mail": f.email(),
        "secret": f.hash(),
    }


def page(f: Fill) -> Row:
    number = f.number(1, 6)
    return {"page": number, "previous": number - 1 if number > 1 else None}


def german_day(f: Fill) -> str:
    return f"{f.number(1, 28):02d}.{f.number(1, 12):02d}.{f.number(1999, 2024)}"


def colleagues(f: Fill) -> Row:
    one = f.pick("employees")
    return {"A": one["id"], "B": f.ref("employees", company_id=one["company_id"])}


def leave(f: Fill) -> Row:
    one = f.pick("employees")
    company = one["company_id"]
    return {
        "employee_id": f.ref("employees", dead=1.0) if f.chance(0.05) else one["id"],
        "approved_by": f.ref("employees", company_id=company, null=0.3, dead=0.05),
        "replaces": f.ref("employees", company_id=company, null=0.6, dead=0.1),
        "days": f.number(1, 25),
        "state": f.one("open", "granted", "refused"),
    }
