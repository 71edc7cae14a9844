"""The environment of the province: its air, its rivers and rain, the tide, and what is usual."""

from datetime import timedelta

from haidang.packs.environment import aqi
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED, AIR_STATIONS
from haidang.packs.environment.climate import PAGES as CLIMATE_PAGES
from haidang.packs.environment.limits import LIMITS
from haidang.packs.environment.pages import PAGES, hit_station, level_signs, mark_station
from haidang.packs.environment.rules import RULES
from haidang.packs.environment.tide import ATTRIBUTION, TIDE_FACTS, TIDE_STATION
from haidang.packs.environment.tide_pages import PAGES as TIDE_PAGES
from haidang.packs.environment.tide_pages import hit_tide, mark_tide
from haidang.packs.environment.water import (
    WATER_DERIVATIONS,
    WATER_OBSERVED,
    WATER_SOURCES,
    WEATHER_OBSERVED,
)
from haidang.packs.environment.water_pages import (
    PAGES as WATER_PAGES,
)
from haidang.packs.environment.water_pages import (
    hit_gauge,
    hit_rain,
    mark_gauge,
    mark_rain,
)
from haidang.sdk.model import Dataset, Derivation, MapLayer, Pack, Searchable

_INPUTS = (*(pollutant.value for pollutant in aqi.Pollutant), aqi.PERIOD)

PACK = Pack(
    pack_id="environment",
    version="1.1.0",
    title="Environment",
    entity_types=(AIR_QUALITY_OBSERVED, WATER_OBSERVED, WEATHER_OBSERVED, TIDE_STATION),
    sources=(AIR_STATIONS, *WATER_SOURCES),
    derivations=(
        Derivation(
            derivation_id="vn-aqi-hourly",
            entity_type=AIR_QUALITY_OBSERVED.name,
            inputs=_INPUTS,
            outputs=("airQualityIndex", "airQualityLevel"),
            reach=aqi.HOURLY_REACH,
            moments=aqi.hourly_moments,
            derive=aqi.derive_hourly,
            method="VN_AQI, hourly, with NowCast (Decision 1459/QĐ-TCMT of 12 November 2019)",
        ),
        Derivation(
            derivation_id="vn-aqi-daily",
            entity_type=AIR_QUALITY_OBSERVED.name,
            inputs=_INPUTS,
            outputs=("airQualityIndexDaily", "airQualityLevelDaily"),
            reach=aqi.DAILY_REACH,
            moments=aqi.daily_moments,
            derive=aqi.derive_daily,
            method="VN_AQI, daily (Decision 1459/QĐ-TCMT of 12 November 2019)",
        ),
        *WATER_DERIVATIONS,
    ),
    limits=LIMITS,
    pages=(*PAGES, *WATER_PAGES, *TIDE_PAGES, *CLIMATE_PAGES),
    datasets=(
        Dataset(
            dataset_id="air-quality-observed",
            title="Air quality of the province",
            description="Measurements of the air quality stations, hour by hour, with their VN_AQI.",
            entity_type=AIR_QUALITY_OBSERVED.name,
            licence="CC-BY-4.0",
            publisher="Department of Agriculture and Environment",
            update_frequency=timedelta(hours=1),
        ),
        Dataset(
            dataset_id="river-levels",
            title="River levels of the province",
            description="Water levels of the river gauges, beside the flood alarm levels in force.",
            entity_type=WATER_OBSERVED.name,
            licence="CC-BY-4.0",
            publisher="Department of Agriculture and Environment",
            update_frequency=timedelta(minutes=10),
        ),
        Dataset(
            dataset_id="rain",
            title="Rain of the province",
            description="What the rain gauges measured, with the sums of an hour and of a day.",
            entity_type=WEATHER_OBSERVED.name,
            licence="CC-BY-4.0",
            publisher="Department of Agriculture and Environment",
            update_frequency=timedelta(minutes=10),
        ),
    ),
    map_layers=(
        MapLayer(
            layer_id="air-quality",
            label="Air quality",
            entity_type=AIR_QUALITY_OBSERVED.name,
            attribute="airQualityIndex",
            mark=mark_station,
            on_home=True,
            levels=level_signs,
        ),
        MapLayer(
            layer_id="river-levels",
            label="River levels",
            entity_type=WATER_OBSERVED.name,
            attribute="waterLevel",
            mark=mark_gauge,
        ),
        MapLayer(
            layer_id="rain",
            label="Rain of the last hour",
            entity_type=WEATHER_OBSERVED.name,
            attribute="rainOneHour",
            mark=mark_rain,
        ),
        MapLayer(
            layer_id="tide",
            label="Tide, computed",
            entity_type=TIDE_STATION.name,
            attribute="constituents",
            mark=mark_tide,
            attribution=ATTRIBUTION,
        ),
    ),
    searchables=(
        Searchable(
            searchable_id="air-stations",
            label="Air quality stations",
            entity_type=AIR_QUALITY_OBSERVED.name,
            hit=hit_station,
        ),
        Searchable(
            searchable_id="river-gauges",
            label="River gauges",
            entity_type=WATER_OBSERVED.name,
            hit=hit_gauge,
        ),
        Searchable(
            searchable_id="rain-gauges",
            label="Rain gauges",
            entity_type=WEATHER_OBSERVED.name,
            hit=hit_rain,
        ),
        Searchable(
            searchable_id="tide-stations",
            label="Tide stations",
            entity_type=TIDE_STATION.name,
            hit=hit_tide,
        ),
    ),
    facts=(TIDE_FACTS,),
    rules=RULES,
)
