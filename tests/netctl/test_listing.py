"""Columns of lists, from objects as netmaster answers them."""

import pytest

from isthmus.netctl import groups, netprofiles, nodes, rules, services
from isthmus.netctl.client import Object
from isthmus.netctl.listing import Column, columns, joined, number


@pytest.mark.parametrize(
    ("things", "text"),
    [
        ([], "Name  Size  Of\n----  ----  --\n"),
        ([{"name": "a", "size": 5, "of": ["x", "y"]}], "Name  Size  Of\n----  ----  --\na     5     x,y\n"),
        ([{"name": "a"}], "Name  Size  Of\n----  ----  --\na     0     \n"),
    ],
)
def test_what_is_left_out_of_json_is_empty_in_a_column_and_0_as_a_number(things: list[Object], text: str) -> None:
    shown = (Column("Name", "----", "name"), Column("Size", "----", number("size")), Column("Of", "--", joined("of")))
    assert columns(shown, things) == text


@pytest.mark.parametrize(
    ("profile", "cells"),
    [
        ({"bandwidth": "10Mbps", "DSCP": 3, "burst": 2}, "10Mbps     3         2"),
        ({"bandwidth": "10 m", "burst": 2}, "10Mbps     0         2"),
        ({"bandwidth": "7kb"}, "7Kbps      0         0"),
        ({"bandwidth": "100GBps"}, "100Gbps    0         0"),
        ({"bandwidth": "20g"}, "20Gbps     0         0"),
        ({"bandwidth": "20KB"}, "20Kbps     0         0"),
        ({"DSCP": 3}, "           3         "),
        ({"burst": 2}, "           0         2"),
    ],
)
def test_a_bandwidth_is_shown_in_one_form_and_a_burst_where_there_is_something_to_limit(
    profile: Object, cells: str
) -> None:
    text = columns(netprofiles.COLUMNS, [{"profileName": "p", "tenantName": "t", **profile}])
    assert text.splitlines()[2] == f"p       t       {cells}"


def test_a_services_selectors_are_in_brackets() -> None:
    service = {"serviceName": "web", "tenantName": "default", "networkName": "net", "selectors": ["a=1", "b=2"]}
    assert columns(services.COLUMNS, [service]).splitlines()[2] == "web          default   net      [a=1 b=2]  "


def test_an_incoming_rule_has_its_own_address_in_wide_columns_only() -> None:
    rule = {"ruleId": "1", "priority": 2, "toIpAddress": "10.1.1.1", "action": "allow"}
    assert "10.1.1.1" not in columns(rules.INCOMING, [rule])
    assert columns(rules.INCOMING_WIDE, [rule]).splitlines()[2] == (
        "1     2                                                           10.1.1.1                0     allow"
    )


def test_a_groups_wide_columns_are_contivs() -> None:
    group = {
        "tenantName": "default",
        "groupName": "db",
        "networkName": "net",
        "ipPool": "10.1.1.1-10.1.1.9",
        "policies": ["a", "b"],
        "netProfile": "slow",
    }
    assert columns(groups.WIDE_COLUMNS, [group]) == (
        "Tenant   Group  Network  IP Pool            CfgdTag  Policies  Network profile\n"
        "------   -----  -------  -------            -------  --------  ---------------\n"
        "default  db     net      10.1.1.1-10.1.1.9           a,b       slow\n"
    )


@pytest.mark.parametrize(
    ("state", "cells"),
    [
        ({"isAlive": True, "inSync": True, "numEndpoints": 2, "engine": "ready", "engineVersion": "28.5.1"}, "in sync"),
        ({"isAlive": True, "engine": "absent"}, "not in sync"),
        ({"inSync": True}, "unreachable"),
    ],
)
def test_a_node_is_in_sync_or_not_or_unreachable(state: Object, cells: str) -> None:
    text = columns(nodes.COLUMNS, [{"name": "node1", "address": "10.0.0.1", "version": "1", **state}])
    assert text.splitlines()[2].rstrip().endswith(f"  {cells}")
