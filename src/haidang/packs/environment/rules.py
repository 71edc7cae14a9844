"""What is watched in the environment: bad air that lasts, silent stations, water above its alarm levels.

Severities are words of CAP 1.2 and a choice of ours: no norm gives VN_AQI or the alarm levels one. A province
may change or switch off each of these.
"""

from datetime import timedelta

from haidang.packs.environment.air import AIR_QUALITY_OBSERVED
from haidang.packs.environment.alarm_levels import GRADES
from haidang.packs.environment.water import WATER_OBSERVED, WEATHER_OBSERVED, above_name
from haidang.sdk.model import Rule, Severity

HYSTERESIS_M = 0.1
"""An alarm level is left when the water has stood so far below it for `CALM`: waves do not clear an alarm."""

CALM = timedelta(minutes=30)
SILENT_RHYTHMS = 3.0

WATER_LABELS = ("Water above alarm level 1", "Water above alarm level 2", "Water above alarm level 3")
ADVICE_LABELS = (
    "Watch the gauge; tell those who live on the banks.",
    "Check fords and low roads; get boats and shelters ready.",
    "Call the flood command; decide on moving people.",
)
_SEVERITIES = (Severity.MINOR, Severity.MODERATE, Severity.SEVERE)

RULES = (
    Rule(
        rule_id="vn-aqi-above-150",
        label="VN_AQI above 150 for two hours",
        entity_type=AIR_QUALITY_OBSERVED.name,
        severity=Severity.MODERATE,
        q="airQualityIndex>150",
        lasting=timedelta(hours=2),
        clear_q="airQualityIndex<=150",
        clear_lasting=timedelta(hours=1),
        advice="Tell schools, hospitals and outdoor workers; look for a fire or a fault of the station.",
    ),
    *(
        Rule(
            rule_id=f"water-above-alarm-{grade}",
            label=label,
            entity_type=WATER_OBSERVED.name,
            severity=severity,
            q=f"{above_name(grade)}>=0",
            clear_q=f"{above_name(grade)}<{-HYSTERESIS_M}",
            clear_lasting=CALM,
            advice=advice,
        )
        for grade, label, severity, advice in zip(
            GRADES, WATER_LABELS, _SEVERITIES, ADVICE_LABELS, strict=True
        )
    ),
    Rule(
        rule_id="air-station-silent",
        label="Air quality station silent",
        entity_type=AIR_QUALITY_OBSERVED.name,
        severity=Severity.MINOR,
        absent="dateObserved",
        absent_rhythms=SILENT_RHYTHMS,
        advice="Ask whoever keeps the station: power, line, logger.",
    ),
    Rule(
        rule_id="river-gauge-silent",
        label="River gauge silent",
        entity_type=WATER_OBSERVED.name,
        severity=Severity.MODERATE,
        absent="waterLevel",
        absent_rhythms=SILENT_RHYTHMS,
        advice="Send somebody to read the staff by eye while it rains; then ask whoever keeps the gauge.",
    ),
    Rule(
        rule_id="rain-gauge-silent",
        label="Rain gauge silent",
        entity_type=WEATHER_OBSERVED.name,
        severity=Severity.MINOR,
        absent="precipitation",
        absent_rhythms=SILENT_RHYTHMS,
        advice="Ask whoever keeps the gauge: power, line, a blocked funnel.",
    ),
)
