"""In the place of a language model: four answers about tea, a word at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

PAUSE = 0.1  # seconds between two words

MILD = (
    "White tea is the mildest of them all. It is made of buds and the youngest leaves, which are only withered and "
    "dried, so that little of what makes a cup bitter is ever set free. Bai Mu Dan tastes of hay, melon and a trace "
    "of honey; Yin Zhen is softer still, and costs accordingly.\n\n"
    "Take water of about eighty degrees, four grams for half a litre, and give it five minutes. If it seems thin, let it "
    "stand longer rather than taking more leaves: white tea forgives nearly everything. The same leaves are good for a "
    "second pot, and many people find that one the better of the two."
)
GREEN = (
    "Green tea turns bitter when the water is too hot or the leaves stay in for too long, and mostly it is both. Let the "
    "kettle stand for five minutes once it has boiled: it will be near seventy degrees, which is right for a Sencha. "
    "A Gyokuro likes it cooler still, at fifty or sixty.\n\n"
    "Count one level teaspoon for each cup, pour, wait ninety seconds, and take the leaves out altogether. Then "
    "use them again: the second infusion needs only half a minute, since they have opened by now, and the third a "
    "little more. If it is still bitter after all that, the tea is old. Buy less, and more often."
)
CAFFEINE = (
    "A cup of black tea has some forty to sixty milligrams of caffeine, about half of what a cup of coffee has. Green tea "
    "has a little less, white tea varies more than its name promises, and Matcha, where the whole leaf is drunk, comes "
    "close to an espresso.\n\n"
    "It also works in another way. Part of the caffeine is bound to tannins and reaches you later, and theanine, which "
    "only tea has, takes off the edge: one is awake, but hardly restless. If you would like to sleep, drink Rooibos or "
    "an infusion of herbs. Strictly speaking neither is tea, but neither has any caffeine, and both are good with honey."
)
OTHER = (
    "All tea comes from one plant, Camellia sinensis, and what is done to its leaves makes the difference. White tea is "
    "withered and dried. Green tea is heated early, in a pan or with steam, so that it stays green. Oolong is rolled "
    "and left to itself for some hours; black tea is left until it is brown throughout.\n\n"
    "So begin with what you like elsewhere. Who is fond of fresh peas and the sea may try a Sencha, who bakes with "
    "malt an Assam, who likes flowers a Darjeeling of the first flush. Buy fifty grams, no more, keep them dark and "
    "dry, and write down the minutes. By the third pot you will know more than any page can tell."
)
ANSWERS = {
    r"mild|soft|gentle|white": MILD,
    r"green|bitter|brew": GREEN,
    r"caffeine|sleep|strong|coffee": CAFFEINE,
}


def answer_to(question: str) -> str:
    """The answer that is given in the end."""
    return next((text for words, text in ANSWERS.items() if re.search(words, question, re.IGNORECASE)), OTHER)


async def model(question: str) -> AsyncIterator[str]:
    """The same, in parts, with what is between them."""
    for word in re.findall(r"\S+\s*", answer_to(question)):
        await asyncio.sleep(PAUSE)
        yield word
