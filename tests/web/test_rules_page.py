"""Rules in administration: in words, tried on history, switched with a reason, corrected at the field."""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.database import reading
from haidang.kernel.actors import part
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED
from haidang.rules.model import RuleOrigin, RuleState
from haidang.rules.service import rules
from haidang.sdk.model import Rate, Rule, Severity
from haidang.web.admin.rules import DayAhead, DaysBackwards, days_of, fields_of, read_rule, span_of
from haidang.web.shared.house import House
from haidang.web.shared.rule_words import RuleWords, limits_of, watched_of
from tests.web.alarms import QUY_NHON, SMOG, raise_alarms
from tests.web.client import Client
from tests.web.stations import Given
from tests.web.test_desks import LAN, post

ONE = "/admin/rules/smog"
NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)


@pytest.fixture
async def smog(house: House) -> Rule:
    """A rule of the province that stands over Quy Nhơn."""
    await raise_alarms(house, [QUY_NHON, Given("mui-ne", "Mũi Né", 33)])
    return SMOG


async def kept(house: House) -> RuleState:
    """The rule as it runs."""
    async with reading(house.pool) as connection:
        return next(
            one
            for one in await rules(part("test"), connection, packs=house.packs)
            if one.rule.rule_id == "smog"
        )


async def test_a_rule_is_said_in_words_with_what_it_has_open(web: Client, smog: Rule) -> None:
    listed = (await web.page("/admin/rules", LAN)).text
    assert f'href="{ONE}">{smog.label}</a>' in listed
    assert "trên 150" in listed
    assert 'href="/ioc/alarms?rule=smog">1</a>' in listed
    page = (await web.page(ONE, LAN)).text
    assert "<code>airQualityIndex&gt;150</code>" in page
    assert "bản của tỉnh" in page
    assert '<b class="acted-by">Test</b>' in page


async def test_an_installation_without_rules_says_so(web: Client) -> None:
    assert "Không gói nào mang theo quy tắc" in (await web.page("/admin/rules")).text


@pytest.mark.usefixtures("smog")
async def test_what_it_would_have_raised_is_told_and_nothing_changes(house: House, web: Client) -> None:
    before = await kept(house)
    text = (await web.page(f"{ONE}/try?since=21/11/2026&until=21/11/2026")).text
    assert "Trong 1 ngày này, quy tắc sẽ phát 1 cảnh báo" in text
    assert "Quy Nhơn" in text
    other = {"edited": "1", "q": "airQualityIndex>20", "label": "Thấp", "severity": "minor", "lasting": "0"}
    text = (await web.page(f"{ONE}/try?{urlencode(other)}")).text
    assert "quy tắc sẽ phát 2 cảnh báo" in text
    assert 'name="q" value="airQualityIndex&gt;20"' in text
    assert await kept(house) == before


@pytest.mark.usefixtures("smog")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=x", "không phải"),
        ("since=22/11/2026&until=21/11/2026", "Ngày cuối trước ngày đầu"),
        ("since=01/01/2027&until=02/01/2027", "chưa đến"),
        ("since=01/01/2026&until=21/11/2026", "31"),
    ],
)
async def test_days_that_cannot_be_tried_are_refused_beside_their_field(
    web: Client, query: str, said: str
) -> None:
    reply = await web.page(f"{ONE}/try?{query}")
    assert reply.status == 422
    assert said in reply.text
    assert 'aria-describedby="days-error"' in reply.text


@pytest.mark.usefixtures("smog")
async def test_switching_needs_a_reason_and_is_dated_under_a_name(house: House, web: Client) -> None:
    refused = await post(web, f"{ONE}/switch", {"on": "0", "reason": " "}, LAN)
    assert refused.status == 422
    assert 'aria-invalid="true"' in refused.text
    assert (await kept(house)).on
    done = await post(web, f"{ONE}/switch", {"on": "0", "reason": "trạm bảo trì <b>"}, LAN)
    assert done.header("location") == f"{ONE}?done=off"
    state = await kept(house)
    assert (state.on, state.changed_by, state.open_alarms) == (False, "unverified:Trần Thị Lan", 0)
    page = (await web.page(ONE)).text
    assert "“trạm bảo trì &lt;b&gt;”" in page
    again = await post(web, f"{ONE}/switch", {"on": "0", "reason": "nữa"}, LAN)
    assert again.status == 409
    assert "Trần Thị Lan" in again.text
    assert "unverified" not in again.text.replace('class="unverified"', "")


async def test_the_provinces_version_is_kept_and_the_rest_stays_as_it_was(
    house: House, web: Client, smog: Rule
) -> None:
    form = (await web.page(f"{ONE}/edit")).text
    assert 'value="airQualityIndex&gt;150"' in form
    fields = fields_of(smog) | {"q": "airQualityIndex>200", "lasting": "90", "severity": "extreme"}
    done = await post(web, f"{ONE}/save", fields, LAN)
    assert done.header("location") == f"{ONE}?done=saved"
    state = await kept(house)
    assert state.rule.q == "airQualityIndex>200"
    assert (state.rule.lasting, state.rule.severity) == (timedelta(minutes=90), Severity.EXTREME)
    assert (state.rule.label, state.rule.advice, state.on) == (smog.label, smog.advice, True)
    assert state.origin is RuleOrigin.PROVINCE


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"q": "airQualityIndex>"}, "q"),
        ({"q": "chieuCao>3"}, "q"),
        ({"q": ""}, "q"),
        ({"label": ""}, "label"),
        ({"lasting": "hai giờ"}, "lasting"),
        ({"lasting": "-1"}, "lasting"),
        ({"lasting": "1e999"}, "lasting"),
        ({"severity": "odd"}, "severity"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_kept(
    house: House, web: Client, smog: Rule, changed: dict[str, str], named: str
) -> None:
    before = await kept(house)
    fields = fields_of(smog) | changed
    reply = await post(web, f"{ONE}/save", fields, LAN)
    assert reply.status == 422
    assert f'<a href="#{named}">' in reply.text
    tried = await web.page(f"{ONE}/try?{urlencode(fields | {'edited': '1'})}")
    assert tried.status == 422
    again = await web.page(f"{ONE}/edit?{urlencode(fields | {'edited': '1'})}")
    assert f'<a href="#{named}">' in again.text
    assert await kept(house) == before


@pytest.mark.usefixtures("smog")
@pytest.mark.parametrize("act", ["switch", "save"])
async def test_no_rule_is_changed_without_a_name_or_from_elsewhere(
    house: House, web: Client, act: str
) -> None:
    before = await kept(house)
    fields = {"on": "0", "reason": "x", "q": "airQualityIndex>1", "label": "x"}
    assert (await post(web, f"{ONE}/{act}", fields)).status == 422
    assert (await post(web, f"{ONE}/{act}", fields, LAN, ("origin", "null"), ours=False)).status == 403
    assert await kept(house) == before


@pytest.mark.parametrize("path", ["/admin/rules/none", "/admin/rules/none/edit", "/admin/rules/none/try"])
async def test_a_rule_that_is_none_is_not_found(web: Client, path: str) -> None:
    assert (await web.page(path)).status == 404
    assert (await post(web, "/admin/rules/none/switch", {"reason": "x"}, LAN)).status == 404


@pytest.mark.usefixtures("smog")
@pytest.mark.parametrize("path", ["/admin/rules", ONE, f"{ONE}/edit", f"{ONE}/try"])
async def test_rules_are_not_shown_to_whom_a_proxy_carried_on(web: Client, path: str) -> None:
    assert (await web.page(path, ("x-real-ip", "203.0.113.9"))).status == 404


# --- pure --------------------------------------------------------------------------------------


def said(rule: Rule) -> tuple[str, str]:
    words = RuleWords(
        AIR_QUALITY_OBSERVED,
        lambda msgid, /, **fields: msgid.format(**fields) if fields else msgid,
        lambda number: f"{number:g}",
        lambda code: {"GQ": "µg/m³"}.get(code, code),
    )
    return words.condition(rule), words.clearing(rule)


def rule_of(**fields: object) -> Rule:
    return Rule("r", "l", "AirQualityObserved", Severity.MINOR, **fields)  # type: ignore[arg-type]  # a test's own fields


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            rule_of(q="pm25>150;pm10>=200.5", lasting=timedelta(hours=2), clear_q="pm25<100"),
            (
                "PM2.5 is above 150 µg/m³ and PM10 is 200.5 µg/m³ or more, without a break for 2 hours",
                "It is over when PM2.5 is below 100 µg/m³.",
            ),
        ),
        (
            rule_of(q='pm25==5..9|(nonesuch!="Kém";so2)', clear_q="so2<1", clear_lasting=timedelta(days=1)),
            (
                "PM2.5 is between 5 µg/m³ and 9 µg/m³ or (nonesuch is not “Kém” and SO₂ is known)",
                "It is over when SO₂ is below 1 µg/m³ for 1 days.",
            ),
        ),
        (
            rule_of(absent="pm25", absent_for=timedelta(minutes=90)),
            ("nothing is heard of PM2.5 for 90 minutes", ""),
        ),
        (
            rule_of(absent="pm25", absent_rhythms=3),
            ("nothing is heard of PM2.5 for 3 times its usual rhythm", ""),
        ),
        (
            rule_of(rate=Rate("pressure", timedelta(hours=3), falls=3)),
            ("Air pressure falls by 3 A97 or more within 3 hours", ""),
        ),
        (rule_of(q="not a query ("), ("not a query (", "")),
    ],
)
def test_a_rule_reads_as_a_sentence(rule: Rule, words: tuple[str, str]) -> None:
    assert said(rule) == words


def test_a_chart_knows_what_is_watched_and_its_limits() -> None:
    assert watched_of(rule_of(q="pm25>150;pm10>3")) == "pm25"
    assert watched_of(rule_of(absent="pm10")) == "pm10"
    assert watched_of(rule_of(q="((")) == ""
    assert limits_of("pm25>150|pm25<=5;pm10>3", "pm25") == (5.0, 150.0)
    assert limits_of("", "pm25") == limits_of("((", "pm25") == ()


def test_a_label_that_was_not_changed_goes_on_being_translated() -> None:
    base = rule_of(q="pm25>1", advice="Tell schools")
    shown = {"label": "nhãn", "advice": "Báo trường"}
    translate = {"l": "nhãn", "Tell schools": "Báo trường"}.get
    read = read_rule(shown, base, AIR_QUALITY_OBSERVED, lambda text: translate(text) or text)
    assert (read.rule, read.errors) == (base, {})


@given(
    st.dictionaries(st.sampled_from(["label", "q", "lasting", "clear_q", "severity", "advice"]), st.text())
)
def test_whatever_is_typed_is_read_or_named(fields: dict[str, str]) -> None:
    read = read_rule(fields, SMOG, AIR_QUALITY_OBSERVED, lambda text: text)
    assert set(read.errors) <= set(fields)
    assert read.rule.rule_id == SMOG.rule_id


def test_days_are_those_of_vietnam_and_end_now() -> None:
    first, last = days_of("20/11/2026", "30/11/2026", date(2026, 11, 21))
    assert span_of(first, last, NOW) == (datetime(2026, 11, 19, 17, tzinfo=UTC), NOW)
    with pytest.raises(DaysBackwards):
        days_of("2026-11-20", "2026-11-19", date(2026, 11, 21))
    with pytest.raises(DayAhead):
        days_of("2026-11-22", "2026-11-22", date(2026, 11, 21))
