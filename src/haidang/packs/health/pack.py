"""The health of the province: so far where its hospitals are."""

from datetime import timedelta

from haidang.sdk.model import Dataset, MapLayer, Pack, Searchable

from .hospitals import ATTRIBUTION, HOSPITALS, POINT_OF_INTEREST
from .pages import PAGES, hit, mark

PACK = Pack(
    pack_id="health",
    version="0.1.0",
    title="Health",
    entity_types=(POINT_OF_INTEREST,),
    pages=PAGES,
    datasets=(
        Dataset(
            dataset_id="hospitals",
            title="Hospitals and medical centres",
            description="Hospitals and medical centres with their ward and position, from OpenStreetMap.",
            entity_type=POINT_OF_INTEREST.name,
            licence="ODbL-1.0",
            publisher="OpenStreetMap contributors",
            update_frequency=timedelta(days=365),
        ),
    ),
    map_layers=(
        MapLayer(
            layer_id="hospitals",
            label="Hospitals and medical centres",
            entity_type=POINT_OF_INTEREST.name,
            attribute="category",
            mark=mark,
            attribution=ATTRIBUTION,
        ),
    ),
    facts=(HOSPITALS,),
    searchables=(
        Searchable(
            searchable_id="hospitals",
            label="Hospitals and medical centres",
            entity_type=POINT_OF_INTEREST.name,
            hit=hit,
        ),
    ),
)
