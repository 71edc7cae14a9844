"""The environment of the province: so far its air."""

from datetime import timedelta

from haidang.packs.environment import aqi
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED, AIR_STATIONS
from haidang.packs.environment.limits import LIMITS
from haidang.packs.environment.pages import PAGES, hit_station, mark_station
from haidang.sdk.model import Dataset, Derivation, MapLayer, Pack, Searchable

_INPUTS = (*(pollutant.value for pollutant in aqi.Pollutant), aqi.PERIOD)

PACK = Pack(
    pack_id="environment",
    version="1.0.0",
    title="Environment",
    entity_types=(AIR_QUALITY_OBSERVED,),
    sources=(AIR_STATIONS,),
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
    ),
    limits=LIMITS,
    pages=PAGES,
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
    ),
    map_layers=(
        MapLayer(
            layer_id="air-quality",
            label="Air quality",
            entity_type=AIR_QUALITY_OBSERVED.name,
            attribute="airQualityIndex",
            mark=mark_station,
            on_home=True,
        ),
    ),
    searchables=(
        Searchable(
            searchable_id="air-stations",
            label="Air quality stations",
            entity_type=AIR_QUALITY_OBSERVED.name,
            hit=hit_station,
        ),
    ),
)
