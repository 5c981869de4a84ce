import pytest

from agentlab import BadReplyError, CancelledCallError, DeviceTimeoutError, LimitError, OfflineError
from agentlab.instruments import ScpiDevice
from agentlab.testing.transcript import HANG_UP, SILENCE, Transcript, late


class Chiller(ScpiDevice):
    """What a table can say stands in the table. What it cannot is a method."""

    commands = {
        "parameters": {
            "setpoint": {"get": "SP?", "set": "SP {:.1f}", "unit": "degC", "min": 5, "max": 35},
            "temperature": {"get": "PV?", "unit": "degC"},
        },
        "safe": ["STOP"],
    }

    def cool_to(self, setpoint: float) -> float:
        """Set a temperature and wait until it is reached."""
        self.setpoint = setpoint
        while (now := self.temperature) > setpoint + 0.1:
            self.progress = setpoint / now
            self.sleep(0.01)  # ends when somebody cancels
        return now


def chiller(*exchanges):
    """Give what a device says, and the device, at a TCP port."""
    transcript = Transcript([("*IDN?", "ACME,Chiller"), *exchanges])
    return transcript, transcript.serve()


def test_it_waits_until_it_is_cold():
    transcript, device = chiller(("SP 18.0", None), ("PV?", "21.0"), ("PV?", "19.5"), ("PV?", "18.05"))
    with device, Chiller(device.address) as driver:
        assert driver.cool_to(18) == 18.05
    assert transcript.received == ["SP 18.0", "PV?", "PV?", "PV?"]


def test_nothing_is_sent_that_is_out_of_limits():
    transcript, device = chiller()
    with device, Chiller(device.address) as driver, pytest.raises(LimitError):
        driver.setpoint = 40
    assert transcript.received == []


def test_it_can_be_cancelled():
    _, device = chiller(("SP 18.0", None), ("PV?", "21.0"))
    with device, Chiller(device.address) as driver:
        driver.cancelled = True
        with pytest.raises(CancelledCallError):
            driver.cool_to(18)


BAD = [("E5", BadReplyError), (b"\xff\n", BadReplyError), (HANG_UP, OfflineError)]
BAD += [(SILENCE, DeviceTimeoutError), (late("20", 0.2), DeviceTimeoutError)]


@pytest.mark.parametrize(("reply", "error"), BAD)
def test_a_bad_reply_is_never_a_value(reply, error):
    _, device = chiller(("PV?", reply), ("PV?", "20.5"))
    with device, Chiller(device.address, timeout=0.1) as driver:
        with pytest.raises(error):
            driver.get("temperature")
        assert driver.temperature == 20.5  # the next reply is the right one
