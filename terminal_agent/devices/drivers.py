"""Drivers by role and name; a driver's module is imported only when it is configured.

A driver is a function of ``(device, reactor)`` in :data:`DRIVERS`. Its options are a msgspec Struct
that refuses what it does not know. Serial drivers are started here and then live by themselves.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from terminal_agent.config import ConfigError, Device
from terminal_agent.devices.interfaces import (
    CardReader,
    IdReader,
    PinPad,
    Printer,
    ReportPrinter,
    Scanner,
    VisitCardReading,
)
from terminal_agent.devices.waiting import Waiting

Options = TypeVar("Options", bound=Struct)
Factory = Callable[[Device, Any], Any]


def build(role: str, device: Device, reactor: Any) -> Any:
    """The driver of a role. Raises ConfigError."""
    drivers = DRIVERS.get(role, {})
    if device.driver not in drivers:
        known = ", ".join(drivers) or "none"
        raise ConfigError(f"devices.{role}.driver: no driver {device.driver}; there are {known}")
    try:
        return drivers[device.driver](device, reactor)
    except (ValueError, OSError) as error:
        raise ConfigError(f"devices.{role}.options: {error}") from None


def card_reader(device: Device, reactor: Any) -> CardReader:
    """The card reader. Raises ConfigError."""
    return cast(CardReader, build("card_reader", device, reactor))


def pin_pad(device: Device, reactor: Any) -> PinPad:
    """The PIN pad. Raises ConfigError."""
    return cast(PinPad, build("pin_pad", device, reactor))


def printer(device: Device, reactor: Any) -> Printer:
    """The receipt printer. Raises ConfigError."""
    return cast(Printer, build("printer", device, reactor))


def visit_card(device: Device, reactor: Any) -> VisitCardReading:
    """The visit card reader. Raises ConfigError."""
    return cast(VisitCardReading, build("visit_card", device, reactor))


def id_reader(device: Device, reactor: Any) -> IdReader:
    """The ID card reader. Raises ConfigError."""
    return cast(IdReader, build("id_reader", device, reactor))


def scanner(device: Device, reactor: Any) -> Scanner:
    """The barcode scanner. Raises ConfigError."""
    return cast(Scanner, build("scanner", device, reactor))


def report_printer(device: Device, reactor: Any) -> ReportPrinter:
    """The printer of reports. Raises ConfigError."""
    return cast(ReportPrinter, build("report_printer", device, reactor))


def options_of(device: Device, kind: type[Options]) -> Options:
    """A driver's options by its schema. Raises ConfigError."""
    try:
        return msgspec.convert(device.options, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from None


def _path(device: Device, option: str) -> Path:
    if option not in device.options:
        raise ConfigError(f"driver {device.driver} needs the option {option}")
    return Path(device.options[option])


def _simulated_reader(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.card_simulator import SimulatedCardReader

    return SimulatedCardReader(_path(device, "cards"), Waiting(reactor))


def _simulated_pad(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.pad_simulator import SimulatedPinPad
    from terminal_agent.devices.pin_slots import read_files

    masters = read_files(device.options.get("masters", ""), "masters")
    return SimulatedPinPad(_path(device, "key_file"), Waiting(reactor), masters)


def _simulated_printer(device: Device, _reactor: Any) -> Any:
    from terminal_agent.devices.printer_simulator import SimulatedPrinter

    return SimulatedPrinter(_path(device, "folder"))


def _started(driver: Any, reactor: Any) -> Any:
    driver.start()
    reactor.addSystemEventTrigger("before", "shutdown", driver.stop)
    return driver


def _zt598(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.zt598 import Zt598, Zt598Options

    return _started(Zt598(options_of(device, Zt598Options), reactor), reactor)


def _zt598_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.zt598_emulator import EmulatedOptions, EmulatedZt598

    return _started(EmulatedZt598(options_of(device, EmulatedOptions), reactor), reactor)


def _reader_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.virtual_reader import EmulatedReader

    return EmulatedReader(_path(device, "cards"), Waiting(reactor))


def _pcsc(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.pcsc_reader import PcscReader, read_options
    from terminal_agent.devices.pcsc_service import PcscService

    return _started(PcscReader(read_options(device.options), reactor, PcscService()), reactor)


def _visit_card(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.pcsc_reader import PcscReader, read_options
    from terminal_agent.devices.pcsc_service import PcscService
    from terminal_agent.devices.visit_card import VisitCardReader, split_options

    card, rest = split_options(device.options)
    reader = PcscReader(read_options(rest), reactor, PcscService())
    return _started(VisitCardReader(reader, card), reactor)


def _visit_card_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.virtual_reader import EmulatedVisitCards, VisitCardNumbers

    numbers = options_of(device, VisitCardNumbers).numbers
    return EmulatedVisitCards(tuple(numbers.split()), Waiting(reactor))


def _visa(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.visa_pad import VisaPad, VisaPadOptions

    return _started(VisaPad(options_of(device, VisaPadOptions), reactor), reactor)


def _visa_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.visa_pad_emulator import EmulatedVisaOptions, EmulatedVisaPad

    return _started(EmulatedVisaPad(options_of(device, EmulatedVisaOptions), reactor), reactor)


def _nlpp60(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.nlpp60 import NlPp60, NlPp60Options

    return _started(NlPp60(options_of(device, NlPp60Options), reactor), reactor)


def _nlpp60_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.nlpp60_emulator import EmulatedNlPp60, EmulatedNlPp60Options

    return _started(EmulatedNlPp60(options_of(device, EmulatedNlPp60Options), reactor), reactor)


def _escpos(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.escpos_printer import EscPosOptions, EscPosPrinter

    return _started(EscPosPrinter(options_of(device, EscPosOptions), reactor), reactor)


def _escpos_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.escpos_emulator import EmulatedEscPos, EmulatedPrinterOptions

    return _started(EmulatedEscPos(options_of(device, EmulatedPrinterOptions), reactor), reactor)


def _id_reader(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.id_reader import IdReaderOptions, SamIdReader

    return _started(SamIdReader(options_of(device, IdReaderOptions), reactor), reactor)


def _id_reader_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.id_reader import IdReaderOptions
    from terminal_agent.devices.id_reader_emulator import EmulatedIdReader

    return _started(EmulatedIdReader(options_of(device, IdReaderOptions), reactor), reactor)


def _scanner(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.scanner import ScannerOptions, SerialScanner

    return _started(SerialScanner(options_of(device, ScannerOptions), reactor), reactor)


def _scanner_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.scanner import ScannerOptions
    from terminal_agent.devices.scanner_emulator import EmulatedScanner

    return _started(EmulatedScanner(options_of(device, ScannerOptions), reactor), reactor)


def _ccnet(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.cash_acceptor import CashAcceptor, CashOptions

    return _started(CashAcceptor(options_of(device, CashOptions), reactor), reactor)


def _ccnet_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.cash_acceptor import CashOptions
    from terminal_agent.devices.cash_emulator import EmulatedCashAcceptor

    return _started(EmulatedCashAcceptor(options_of(device, CashOptions), reactor), reactor)


def _ipp(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.ipp_printer import IppOptions, over_network

    return _started(over_network(options_of(device, IppOptions), reactor), reactor)


def _ipp_emulator(device: Device, reactor: Any) -> Any:
    from terminal_agent.devices.ipp_loopback import EmulatedIppOptions, EmulatedIppPrinter

    return _started(EmulatedIppPrinter(options_of(device, EmulatedIppOptions), reactor), reactor)


DRIVERS: dict[str, dict[str, Factory]] = {
    "card_reader": {
        "simulator": _simulated_reader,
        "pcsc": _pcsc,
        "emulator": _reader_emulator,
    },
    "pin_pad": {
        "simulator": _simulated_pad,
        "zt598": _zt598,
        "zt598-emulator": _zt598_emulator,
        "visa": _visa,
        "visa-emulator": _visa_emulator,
        "nlpp60": _nlpp60,
        "nlpp60-emulator": _nlpp60_emulator,
    },
    "printer": {
        "simulator": _simulated_printer,
        "escpos": _escpos,
        "escpos-emulator": _escpos_emulator,
    },
    "visit_card": {"pcsc": _visit_card, "emulator": _visit_card_emulator},
    "id_reader": {"sam": _id_reader, "sam-emulator": _id_reader_emulator},
    "scanner": {"serial": _scanner, "serial-emulator": _scanner_emulator},
    "cash_acceptor": {"ccnet": _ccnet, "ccnet-emulator": _ccnet_emulator},
    "report_printer": {"ipp": _ipp, "ipp-emulator": _ipp_emulator},
}
"""Role → driver → how it is made."""
