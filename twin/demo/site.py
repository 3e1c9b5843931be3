"""The demo's university: 280 instruments on platforms of three levels.

50 of them are worth 400,000 CNY or more and have a controller, as the scope rules of the plan want it. Everything is
computed: the same site every time.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from twin.registration import NewInstrument, NewPlatform, NewSite

CONNECTED = 50
LISTED = 280


class Kind(NamedTuple):
    """A kind of instrument: what it is called, what it costs (1,000 CNY) and how its power is to be read."""

    short: str
    profile: str
    name_zh: str
    name_en: str
    category: str
    price_k: tuple[int, int]
    standby_w: float
    active_w: float
    policy: Mapping[str, object] = {}


_NEVER_CUT: Mapping[str, object] = {"cut": "never", "walk_in": True}
"""Of instruments whose controllers have no relay: samples would thaw, files would be lost."""


LARGE: Sequence[Kind] = (
    Kind("SEM", "sem", "场发射扫描电子显微镜", "Field emission scanning electron microscope", "010102",
         (1800, 5200), 100, 1000),
    Kind("XRD", "xrd", "X射线衍射仪", "X-ray diffractometer", "010301",
         (900, 2600), 60, 1400),
    Kind("HPLC", "hplc", "高效液相色谱仪", "High-performance liquid chromatograph", "010502",
         (420, 900), 15, 120),
    Kind("FUR", "furnace", "真空热处理炉", "Vacuum heat treatment furnace", "120404",
         (450, 1600), 15, 400),
    Kind("CEN", "centrifuge", "超速冷冻离心机", "Refrigerated ultracentrifuge", "011023",
         (410, 780), 20, 500),
    Kind("FRZ", "freezer", "样品超低温保存系统", "Ultra-low temperature sample store", "120404",
         (400, 520), 5, 1200, _NEVER_CUT),
    Kind("WST", "workstation", "三维重构分析工作站", "3D reconstruction workstation", "010102",
         (400, 650), 20, 140, _NEVER_CUT),
)  # fmt: skip
SMALL: Sequence[Kind] = (
    Kind("HRD", "", "显微硬度计", "Microhardness tester", "020102",
         (105, 260), 5, 40),
    Kind("UTM", "", "万能材料试验机", "Universal testing machine", "020101",
         (180, 390), 5, 40),
    Kind("FTIR", "", "傅里叶红外光谱仪", "FTIR spectrometer", "010409",
         (210, 390), 5, 40),
    Kind("RAM", "", "拉曼光谱仪", "Raman spectrometer", "010410",
         (280, 395), 5, 40),
    Kind("DSC", "", "差示扫描量热仪", "Differential scanning calorimeter", "010902",
         (160, 380), 5, 40),
    Kind("TGA", "", "热重分析仪", "Thermogravimetric analyser", "010903",
         (170, 390), 5, 40),
    Kind("OPT", "", "金相显微镜", "Metallographic microscope", "010802",
         (110, 320), 5, 40),
    Kind("FRN", "", "箱式电阻炉", "Box furnace", "120404",
         (101, 180), 5, 40),
)  # fmt: skip

_POLICIES: Mapping[str, dict[str, object]] = {
    "U-MET": {"overrun": True},
    "U-EM": {"warn_before_end_ms": 900_000},
    "C-MSE": {"at_slot_end": "alert"},
    "C-CHE": {"walk_in": True},
    "C-NAM": {"on_unauthorised": "cut", "denial_count": 2},
    "D-ME1": {"cut": "at_once", "grace_ms": 120_000},
    "D-MET1": {"idle_for_ms": 300_000, "idle_release_ms": 600_000},
}
"""What platforms set: every kind of rule is to be seen somewhere. A platform hands it down to those below it."""

_UNIVERSITY = (
    ("U-MAT", "材料测试中心", "Materials Testing Centre"),
    ("U-MET", "冶金测试中心", "Metallurgical Testing Centre"),
    ("U-EM", "电子显微镜中心", "Electron Microscopy Centre"),
)
_COLLEGES = (
    ("MSE", "材料科学与工程学院", "School of Materials Science and Engineering"),
    ("MET", "冶金与生态工程学院", "School of Metallurgical and Ecological Engineering"),
    ("CHE", "化学与生物工程学院", "School of Chemistry and Biological Engineering"),
    ("ME", "机械工程学院", "School of Mechanical Engineering"),
    ("NAM", "新金属材料国家重点实验室", "State Key Laboratory for Advanced Metals"),
)
_DEPARTMENTS = (
    ("1", "物理系", "Department of Physics"),
    ("2", "应用系", "Department of Applications"),
)
_BUILDINGS = ("主楼", "理化楼", "腐蚀楼", "冶金楼", "材料楼")


def university(timezone: str) -> NewSite:
    """The site: students have the day, guests office hours, teachers and staff are always let in."""
    always = {"daily": ["00:00-24:00"]}
    return NewSite(
        name_zh="示范大学",
        name_en="Demo University",
        timezone=timezone,
        policy={"no_show_points": 2, "idle_points": 1},
        opening={
            "student": {"daily": ["08:00-22:00"]},
            "teacher": always,
            "staff": always,
            "external": {"daily": ["09:00-17:00"], "sat": [], "sun": []},
        },
    )


def platforms() -> Iterator[NewPlatform]:
    """Parents before their children."""
    for code, name_zh, name_en in _UNIVERSITY:
        yield NewPlatform(code, name_zh, name_en, "university", policy=_policy(code))
    for index, (code, name_zh, name_en) in enumerate(_COLLEGES):
        parent = _UNIVERSITY[index % len(_UNIVERSITY)][0]
        college = f"C-{code}"
        yield NewPlatform(
            college, f"{name_zh}共享平台", f"{name_en} platform", "college", parent, policy=_policy(college)
        )
        for number, department_zh, department_en in _DEPARTMENTS:
            department = f"D-{code}{number}"
            yield NewPlatform(
                department,
                f"{name_zh}{department_zh}",
                f"{department_en}, {name_en}",
                "department",
                college,
                policy=_policy(department),
            )


def _policy(platform: str) -> dict[str, object]:
    return _POLICIES.get(platform, {})


def instruments() -> Iterator[NewInstrument]:
    """The whole catalogue: first the 50 that are to be connected."""
    codes = [platform.code for platform in platforms()]
    for index in range(LISTED):
        large = index < CONNECTED
        kind = LARGE[index % len(LARGE)] if large else SMALL[index % len(SMALL)]
        number = (index if large else index - CONNECTED) // len(LARGE if large else SMALL) + 1
        building = _BUILDINGS[index % len(_BUILDINGS)]
        yield NewInstrument(
            code=f"{kind.short}-{number:02d}",
            name_zh=f"{kind.name_zh} {number:02d}",
            name_en=f"{kind.name_en} {number:02d}",
            model=f"{kind.short} {number * 100 + index % 7 * 10}",
            place=f"{building} {1 + index % 6}{index * 7 % 30:02d}",
            category=kind.category,
            value_cny=_value_cny(kind, number),
            platform=codes[index * 5 % len(codes)],
            policy={"standby_w": kind.standby_w, "active_w": kind.active_w, **kind.policy},
        )


def _value_cny(kind: Kind, number: int) -> Decimal:
    low, high = kind.price_k
    return Decimal(low + (high - low) * (number * 37 % 100) // 100) * 1000


def has_relay(instrument: str) -> bool:
    """May its controller cut the power?"""
    kinds = {kind.short: kind for kind in LARGE}
    return kinds[instrument.split("-", maxsplit=1)[0]].policy.get("cut") != "never"


def ended_by_people() -> set[str]:
    """Instruments whose sessions the clock does not end."""
    policies: dict[str | None, Mapping[str, object]] = {None: {}}
    for platform in platforms():
        policies[platform.code] = {**policies[platform.parent], **platform.policy}
    return {each.code for each in instruments() if policies[each.platform].get("at_slot_end") == "alert"}


def connected() -> dict[str, tuple[str, str]]:
    """Controller id -> (instrument code, power profile of the simulation)."""
    profiles = {kind.short: kind.profile for kind in LARGE}
    codes = [instrument.code for instrument in instruments()][:CONNECTED]
    return {f"ctl-{code.lower()}": (code, profiles[code.split("-")[0]]) for code in codes}
