"""What DynamoDB is asked for. All names in expressions are aliases: some 570 words are reserved, and more may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Value = dict[str, Any]  # as DynamoDB has it: {"S": "text"}
Item = dict[str, Value]
Params = dict[str, Any]
# An attribute and "exists" or "missing"; or one, an operator and a value; or one, "beyond" and two: not above the first, or above
# the second.
Test = tuple[str, str] | tuple[str, str, int | str] | tuple[str, str, int, int]


def value_of(value: int | str | bytes) -> Value:
    """A value as DynamoDB takes it."""
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value} if isinstance(value, str) else {"B": value}


class Expression:
    """Names and values of the expressions of one request."""

    __slots__ = ("_names", "_values")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Value] = {}

    def name(self, attribute: str) -> str:
        """The alias of an attribute."""
        self._names[f"#{attribute}"] = attribute
        return f"#{attribute}"

    def value(self, value: int | str | bytes) -> str:
        """The alias of a value."""
        alias = f":v{len(self._values)}"
        self._values[alias] = value_of(value)
        return alias

    def test(self, test: Test) -> str:
        """One condition."""
        if len(test) == 4:
            attribute, _, low, high = test
            name = self.name(attribute)
            return f"({name} <= {self.value(low)} OR {name} > {self.value(high)})"
        if len(test) == 3:
            attribute, operator, value = test
            return f"{self.name(attribute)} {operator} {self.value(value)}"
        attribute, what = test
        return f"attribute_{'not_' * (what == 'missing')}exists({self.name(attribute)})"

    def any_of(self, *tests: Test) -> str:
        """One of some conditions."""
        return " OR ".join(map(self.test, tests))

    def all_of(self, *tests: Test) -> str:
        """All of some conditions."""
        return " AND ".join(map(self.test, tests))

    def changes(self, sets: Mapping[str, Any], counts: Iterable[str] = ()) -> str:
        """What is set, None taken away, and what is one more than it was."""
        parts = [f"{self.name(name)} = {self.value(value)}" for name, value in sets.items() if value is not None]
        parts += [f"{self.name(name)} = {self.name(name)} + {self.value(1)}" for name in counts]
        gone = [self.name(name) for name, value in sets.items() if value is None]
        return f"SET {', '.join(parts)}" + (f" REMOVE {', '.join(gone)}" if gone else "")

    def params(self, **expressions: str) -> Params:
        """A request's parameters with these expressions."""
        values = {"ExpressionAttributeValues": self._values} if self._values else {}
        return {**expressions, "ExpressionAttributeNames": self._names, **values}


def put(table: str, item: Item, *tests: Test, other: bool = False) -> Params:
    """An item that is put where all tests hold; with `other`, where one of them does."""
    expression = Expression()
    condition = expression.any_of(*tests) if other else expression.all_of(*tests)
    return {
        "TableName": table,
        "Item": item,
        **expression.params(ConditionExpression=condition),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def update(table: str, key: Item, sets: Mapping[str, Any], *tests: Test, counts: Iterable[str] = ()) -> Params:
    """An item that is changed where all tests hold."""
    expression = Expression()
    changes = expression.changes(sets, counts)
    return {
        "TableName": table,
        "Key": key,
        **expression.params(UpdateExpression=changes, ConditionExpression=expression.all_of(*tests)),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def remove(table: str, key: Item, *tests: Test) -> Params:
    """An item that is deleted where all tests hold."""
    expression = Expression()
    condition = expression.all_of(*tests)
    return {"TableName": table, "Key": key, **expression.params(ConditionExpression=condition)}
