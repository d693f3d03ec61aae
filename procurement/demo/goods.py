"""What the demo world's companies buy: headings (CPV), tender titles and items with a usual price in EUR."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Good:
    """An item as it stands in a lot. `price`: the usual one of a unit, in EUR; `lot`: the usual quantity."""

    name: str
    unit: str
    price: Decimal
    lot: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of business: its heading, how its tenders are titled, what is in them."""

    code: str
    heading: str
    titles: tuple[str, ...]
    goods: tuple[Good, ...]
    # How often a year one buyer of this line buys.
    yearly: int


def _line(code: str, heading: str, yearly: int, titles: str, goods: str) -> Line:
    """`goods`: "name|unit|price|quantity" separated by semicolons; units are UN/ECE Recommendation 20 codes."""
    parsed = []
    for entry in goods.split(";"):
        name, unit, price, lot = (part.strip() for part in entry.split("|"))
        parsed.append(Good(name, unit, Decimal(price), int(lot)))
    return Line(code, heading, tuple(title.strip() for title in titles.split(";")), tuple(parsed), yearly)


LINES: tuple[Line, ...] = (
    _line(
        "39130000",
        "Office furniture",
        2,
        "Office chairs and desks for {place}; Refurnishing of the {place} offices; Meeting room furniture",
        "Office chair, adjustable, 5-star base|H87|189.00|40; "
        "Height-adjustable desk 160 × 80 cm|H87|415.00|30; "
        "Filing cabinet, 4 drawers, lockable|H87|238.50|15; Meeting table 240 × 110 cm|H87|690.00|4; "
        "Visitor chair, stackable|H87|74.90|60",
    ),
    _line(
        "30213000",
        "Personal computers",
        3,
        "Notebooks for {place}; Replacement of workplace computers {year}; Workstations for engineering",
        "Notebook 14″, 32 GB, 1 TB|H87|1185.00|50; Desktop workstation, 64 GB|H87|1720.00|20; "
        "Docking station USB-C|H87|164.00|60; Monitor 27″, 2560 × 1440|H87|248.00|80; "
        "Keyboard and mouse, wireless|H87|46.50|100",
    ),
    _line(
        "30197643",
        "Photocopier paper",
        4,
        "Copier paper, {quarter}; Paper and envelopes for {place}",
        "Copier paper A4, 80 g/m², 500 sheets|NMP|4.35|4000; Copier paper A3, 80 g/m², 500 sheets|NMP|9.10|400; "
        "Envelopes DIN long, window, 1,000 pieces|XBX|21.40|120",
    ),
    _line(
        "44316000",
        "Ironmongery and fasteners",
        6,
        "Fasteners for assembly, {quarter}; Bolts and nuts, stainless; Fixing material for {place}",
        "Hexagon bolt M12 × 60, A2, 100 pieces|XBX|38.20|300; Hexagon nut M12, A2, 200 pieces|XBX|19.90|300; "
        "Washer M12, A2, 500 pieces|XBX|14.75|200; Threaded rod M16, 1 m, 8.8|H87|6.85|800; "
        "Heavy-duty anchor M16 × 145|H87|5.40|1500",
    ),
    _line(
        "14622000",
        "Steel",
        5,
        "Steel sections for {place}; Structural steel, {quarter}; Sheet steel S355",
        "Hot-rolled sheet S355J2, 10 mm|TNE|842.00|60; IPE 200, S235JR, 12 m|TNE|915.00|35; "
        "Hollow section 100 × 100 × 5|TNE|1040.00|22; Reinforcing bar B500B, Ø 16|TNE|688.00|90",
    ),
    _line(
        "44320000",
        "Cable",
        4,
        "Power cable for {place}; Installation cable, {quarter}; Cable and accessories",
        "Cable NYY-J 5 × 16 mm²|MTR|11.80|2500; Cable NYM-J 3 × 2.5 mm²|MTR|1.42|12000; "
        "Data cable Cat 7, S/FTP|MTR|1.05|8000; Cable tray 300 × 60 mm, galvanised|MTR|17.30|600",
    ),
    _line(
        "31680000",
        "Electrical supplies",
        4,
        "Switchgear for {place}; Electrical material, {quarter}",
        "Circuit breaker C16, 1-pole|H87|7.95|600; Residual current device 40 A/30 mA|H87|41.50|180; "
        "Distribution board, 72 modules|H87|156.00|24; LED panel 60 × 60, 4000 K|H87|38.90|350",
    ),
    _line(
        "18110000",
        "Occupational clothing",
        2,
        "Work clothes for {place}; Protective clothing {year}",
        "Work jacket, high visibility class 2|H87|54.80|250; Work trousers, cut protection|H87|62.30|250; "
        "Safety shoes S3, pair|PR|71.00|300; T-shirt, breathable|H87|12.60|800",
    ),
    _line(
        "18143000",
        "Protective gear",
        4,
        "Personal protective equipment, {quarter}; Gloves and masks for {place}",
        "Nitrile gloves, 100 pieces|XBX|7.80|2500; Respirator FFP2, 20 pieces|XBX|11.20|900; "
        "Safety helmet EN 397|H87|18.40|200; "
        "Safety goggles, anti-fog|H87|9.30|400; Hearing protection, 28 dB|H87|15.90|220",
    ),
    _line(
        "09134100",
        "Diesel oil",
        6,
        "Diesel for the fleet, {quarter}; Heating oil for {place}",
        "Diesel EN 590, delivered|LTR|1.18|60000; Heating oil, low sulphur, delivered|LTR|0.86|40000; "
        "AdBlue, bulk|LTR|0.34|12000",
    ),
    _line(
        "34350000",
        "Tyres",
        3,
        "Tyres for the fleet {year}; Truck tyres, {quarter}",
        "Truck tyre 315/80 R22.5, drive axle|H87|418.00|60; Truck tyre 385/65 R22.5, trailer|H87|376.00|80; "
        "Van tyre 235/65 R16C, all season|H87|142.00|90",
    ),
    _line(
        "34330000",
        "Vehicle spare parts",
        5,
        "Spare parts for trucks, {quarter}; Filters and brake parts",
        "Brake disc, 430 mm|H87|128.00|80; Brake pads, set|SET|94.00|120; "
        "Oil filter, heavy duty|H87|18.70|400; Air filter element|H87|46.20|220",
    ),
    _line(
        "60100000",
        "Road transport services",
        4,
        "Haulage {place}–{other}, {quarter}; Regional distribution {year}",
        "Full truck load {place}–{other}|E48|1120.00|80; Part load up to 12 t|E48|640.00|60; "
        "Tail-lift delivery, per stop|E48|48.00|500",
    ),
    _line(
        "90910000",
        "Cleaning services",
        1,
        "Cleaning of offices, {place}; Window and façade cleaning {year}",
        "Office cleaning, per month|MON|6850.00|12; Window cleaning, per round|E48|2380.00|4; "
        "Floor care, per m² and year|MTK|3.15|4200",
    ),
    _line(
        "79710000",
        "Security services",
        1,
        "Guarding of {place}; Reception and security {year}",
        "Guard, per hour|HUR|27.40|8760; Patrol drive, per night|E48|31.50|730; "
        "Alarm monitoring, per month|MON|240.00|12",
    ),
    _line(
        "50700000",
        "Building maintenance",
        2,
        "Maintenance of heating and ventilation, {place}; Lift maintenance {year}",
        "Service of air handling unit|E48|385.00|24; Boiler service|E48|290.00|12; "
        "Lift maintenance, per quarter|E48|410.00|32",
    ),
    _line(
        "24300000",
        "Industrial chemicals",
        5,
        "Process chemicals, {quarter}; Solvents and acids for {place}",
        "Sodium hydroxide 50 %, bulk|TNE|412.00|120; Hydrochloric acid 31 %, IBC|TNE|238.00|60; "
        "Isopropanol, technical, drum 200 l|XDR|348.00|90; "
        "Citric acid, 25 kg bag|XBG|41.00|600",
    ),
    _line(
        "44111000",
        "Building materials",
        4,
        "Cement and aggregates for {place}; Masonry material, {quarter}",
        "Cement CEM II 42.5, 25 kg|XBG|5.90|3500; Aerated concrete block 24 cm|H87|4.75|6000; "
        "Mortar, bulk|TNE|118.00|90; "
        "Insulation board XPS 100 mm|MTK|14.60|2400",
    ),
    _line(
        "42120000",
        "Pumps and compressors",
        2,
        "Pumps for {place}; Compressed air station {year}",
        "Centrifugal pump 11 kW, stainless|H87|4380.00|6; Submersible pump 4 kW|H87|1690.00|8; "
        "Screw compressor 45 kW|H87|18900.00|2; "
        "Pressure vessel 1,000 l|H87|2150.00|4",
    ),
    _line(
        "42130000",
        "Taps, cocks and valves",
        3,
        "Valves for {place}; Shut-off valves and fittings, {quarter}",
        "Gate valve DN 100, PN 16|H87|186.00|60; Ball valve 1″, stainless|H87|31.40|300; "
        "Butterfly valve DN 200, actuator|H87|745.00|18; "
        "Check valve DN 80|H87|138.00|45",
    ),
    _line(
        "44160000",
        "Pipes and fittings",
        4,
        "Pipes for {place}; District heating pipes {year}",
        "Steel pipe 114.3 × 3.6|MTR|21.70|1800; PE pipe SDR 11, 110 mm|MTR|12.40|3000; "
        "Elbow 90°, 114.3|H87|14.20|400; "
        "Pre-insulated pipe DN 80|MTR|58.00|900",
    ),
    _line(
        "43320000",
        "Construction equipment",
        2,
        "Hire of construction machines, {place}; Excavator hire {year}",
        "Excavator 20 t, per day|DAY|345.00|120; Telescopic handler, per day|DAY|190.00|90; "
        "Vibrating plate 400 kg, per day|DAY|62.00|60",
    ),
    _line(
        "15800000",
        "Food products",
        6,
        "Food for the canteen, {quarter}; Dry goods for {place}",
        "Pasta, 5 kg|XBG|7.60|900; Rice, long grain, 10 kg|XBG|14.20|500; "
        "Sunflower oil, 10 l|XCA|17.90|350; Tomatoes, peeled, 2.5 kg|XTN|4.10|1600",
    ),
    _line(
        "15980000",
        "Non-alcoholic beverages",
        4,
        "Drinks for {place}; Water and coffee, {quarter}",
        "Mineral water, crate 12 × 0.7 l|XCR|5.20|2400; Coffee beans, 1 kg|KGM|13.80|900; "
        "Apple juice, 6 × 1 l|NMP|7.40|700",
    ),
    _line(
        "33140000",
        "Medical consumables",
        5,
        "Dressing material, {quarter}; Consumables for {place}",
        "Sterile compress 10 × 10, 100 pieces|XBX|8.40|1200; Infusion set|H87|1.12|9000; "
        "Syringe 10 ml, 100 pieces|XBX|6.30|1500; Disinfectant, 5 l|XCA|24.50|400",
    ),
    _line(
        "33600000",
        "Pharmaceutical products",
        5,
        "Medicines for the clinic, {quarter}; Infusion solutions",
        "Sodium chloride 0.9 %, 500 ml, 20 pieces|XBX|21.60|1800; "
        "Paracetamol 1 g i.v., 12 pieces|XBX|19.40|600; Heparin 25,000 IU, 10 pieces|XBX|38.50|300",
    ),
    _line(
        "48000000",
        "Software packages",
        1,
        "Licences for {place}, {year}; Document management software",
        "Office suite, user and year|E48|142.00|300; "
        "Endpoint protection, device and year|E48|31.00|500; CAD licence, year|E48|2350.00|12",
    ),
    _line(
        "72000000",
        "IT services",
        2,
        "Service desk {year}; Network operation for {place}; Software development, framework",
        "Service desk, user and month|MON|18.50|3600; System engineer, day|DAY|780.00|120; "
        "Software developer, day|DAY|720.00|200",
    ),
    _line(
        "32420000",
        "Network equipment",
        2,
        "Switches for {place}; Wireless network {year}",
        "Access switch, 48 ports, PoE|H87|2180.00|24; Core switch, 100 G|H87|14600.00|2; "
        "Access point Wi-Fi 7|H87|486.00|80; Firewall cluster|H87|9800.00|2",
    ),
    _line(
        "79800000",
        "Printing services",
        3,
        "Printing of brochures, {quarter}; Annual report {year}",
        "Brochure A4, 32 pages|H87|1.48|15000; Poster A1|H87|3.20|800; Business cards, 250 pieces|XBX|24.00|300",
    ),
    _line(
        "30125100",
        "Toner cartridges",
        4,
        "Toner for {place}, {quarter}",
        "Toner, black, 10,000 pages|H87|86.00|180; Toner set, colour|SET|278.00|60; Drum unit|H87|112.00|40",
    ),
    _line(
        "19640000",
        "Packaging of polythene",
        5,
        "Packaging film, {quarter}; Bags and film for {place}",
        "Stretch film 500 mm × 300 m, 23 µm|RO|7.10|3000; "
        "LDPE bag 300 × 400, 1,000 pieces|XBX|26.40|500; Pallet cover, roll of 50|RO|38.00|220",
    ),
    _line(
        "44617000",
        "Boxes and pallets",
        6,
        "Corrugated boxes, {quarter}; Pallets for {place}",
        "Box 400 × 300 × 300, double wall|H87|0.94|30000; Euro pallet, new|H87|13.40|1500; "
        "Plastic crate 600 × 400 × 220|H87|11.80|800",
    ),
    _line(
        "42415000",
        "Lift trucks",
        1,
        "Forklifts for {place}; Warehouse trucks {year}",
        "Electric forklift 2.5 t|H87|32400.00|4; Reach truck 1.6 t|H87|38800.00|2; "
        "Pallet truck, electric|H87|4150.00|8",
    ),
    _line(
        "71300000",
        "Engineering services",
        2,
        "Structural design, {place}; Site supervision {year}",
        "Structural engineer, day|DAY|840.00|60; CAD draughtsman, day|DAY|520.00|80; "
        "Site supervisor, day|DAY|690.00|110",
    ),
    _line(
        "80500000",
        "Training services",
        2,
        "Safety training {year}; Language courses for {place}",
        "Training day, up to 12 people|DAY|1350.00|20; First-aid course, per person|E48|54.00|120; "
        "Language lesson, 90 minutes|E48|88.00|240",
    ),
    _line(
        "03410000",
        "Wood",
        3,
        "Timber for {place}; Construction timber, {quarter}",
        "Construction timber C24, planed|MTQ|428.00|120; Plywood 18 mm, 2.5 × 1.25 m|H87|46.50|600; "
        "Squared timber 10 × 10|MTR|6.90|2200",
    ),
    _line(
        "38000000",
        "Laboratory instruments",
        2,
        "Laboratory equipment for {place}; Measuring instruments {year}",
        "Analytical balance 0.1 mg|H87|2890.00|4; pH meter, bench|H87|740.00|8; "
        "Pipette, 100–1,000 µl|H87|212.00|30; Centrifuge, refrigerated|H87|8650.00|2",
    ),
    _line(
        "31500000",
        "Lighting equipment",
        2,
        "LED lighting for {place}; Hall lighting {year}",
        "LED high-bay light 150 W|H87|164.00|140; Emergency luminaire|H87|58.00|90; LED street lamp 60 W|H87|198.00|70",
    ),
    _line(
        "79600000",
        "Recruitment and temporary staff",
        3,
        "Temporary workers, {quarter}; Warehouse staff for {place}",
        "Warehouse worker, hour|HUR|24.80|6000; Forklift driver, hour|HUR|27.60|3200; "
        "Office clerk, hour|HUR|29.90|1500",
    ),
)
