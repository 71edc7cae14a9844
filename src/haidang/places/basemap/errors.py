"""What can go wrong with a base map. Whatever it is, the map in use stays as it was."""

from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound


class BaseMapToolsMissing(Conflict):
    """Reading map files needs GDAL and PROJ, which are not installed here; docs/how-to/build-a-base-map.md says how."""  # noqa: E501 - a message id is one line


class BaseMapsAreForAdministrators(Denied):
    """Only administrators may build, choose or remove a base map."""


class MapFileMissing(Invalid):
    """There is no file {path}."""


class MapFileKindUnknown(Invalid):
    """{path} is not a map file that can be read: an OpenStreetMap .osm.pbf, a GeoPackage, a Shapefile (zipped too) or PMTiles."""  # noqa: E501 - a message id is one line


class MapFileBroken(Invalid):
    """{path} cannot be read to its end: {reason}."""


class MapArchiveTooLarge(Invalid):
    """The archive {path} would unpack to over {limit_mb} MB or {times} times its size; it was not opened."""


class MapFileWithoutSystem(Invalid):
    """{path} does not say its coordinate system; name it with --epsg (VN-2000: 9217, 9218, 5899, 3406 and others; WGS 84: 4326)."""  # noqa: E501 - a message id is one line


class MapSystemUnknown(Invalid):
    """{path}: the coordinate system {system} is not accepted; it must be one of VN-2000 (9217, 9218, 5899, 3406 and others) or WGS 84 (4326)."""  # noqa: E501 - a message id is one line


class MapFileEmpty(Invalid):
    """{path} has nothing that a base map shows: no water, land use, streets, buildings or places."""


class MapOutsideVietnam(Invalid):
    """Nothing in {path} lies in Vietnam; its first position is {longitude}, {latitude}, so its coordinate system may be wrong."""  # noqa: E501 - a message id is one line


class BaseMapUnknown(NotFound):
    """There is no base map {base_map_id}."""


class BaseMapArchiveBroken(Conflict):
    """The archive of the base map cannot be read."""


class MapLicenceNotGiven(Invalid):
    """{path} does not say its licence; say with --licence what must stand under the map."""
