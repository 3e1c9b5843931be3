"""What handlers are handed over by name: parts of the running application, not input to be checked."""

from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from twin.interface import Service
from web.catalogue import Query
from web.hub import Hub
from web.pages.rendering import Pages
from web.paging import Part
from web.people import Door
from web.recent import RecentPower
from web.scopes import AlertScope, Scope
from web.settings import WebSettings

TheService: TypeAlias = NamedDependency[SkipValidation[Service]]
TheHub: TypeAlias = NamedDependency[SkipValidation[Hub[Scope]]]
TheAlertHub: TypeAlias = NamedDependency[SkipValidation[Hub[AlertScope]]]
TheDoor: TypeAlias = NamedDependency[SkipValidation[Door]]
TheRecentPower: TypeAlias = NamedDependency[SkipValidation[RecentPower]]
TheSettings: TypeAlias = NamedDependency[SkipValidation[WebSettings]]
TheQuery: TypeAlias = NamedDependency[SkipValidation[Query]]
ThePart: TypeAlias = NamedDependency[SkipValidation[Part]]
ThePages: TypeAlias = NamedDependency[SkipValidation[Pages]]
